// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/base/digest.hpp>
#include <goldmill/base/json.hpp>

namespace goldmill {

TEST(Digest, AgreesWithThePublishedVectors) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256("abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().update("a").update("bc").finish(), sha256("abc"));
  EXPECT_EQ(sha256("").text(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Digest, TextRoundTrips) {
  const Digest digest = sha256("goldmill");
  EXPECT_EQ(Digest::parse(digest.text()).value(), digest);
  EXPECT_EQ(Digest::parse(digest.hex()).value(), digest);
  for (const std::string& bad :
       {std::string("sha256:"), std::string(63, 'a'), std::string(64, 'G'), std::string()}) {
    EXPECT_FALSE(Digest::parse(bad)) << bad;
  }
}

TEST(Json, CanonicalFormIgnoresOrderOfWriting) {
  const Json a = parse_json(R"({"b": [1, true, null], "a": "x"})", "a").value();
  const Json b = parse_json(R"({ "a":"x","b":[1,true,null] })", "b").value();
  EXPECT_EQ(canonical(a), R"({"a":"x","b":[1,true,null]})");
  EXPECT_EQ(canonical(a), canonical(b));
}

TEST(Json, TypedReadsNeverThrow) {
  const Json object = parse_json(R"({"n": 3, "s": "x", "l": ["a", 1]})", "it").value();
  EXPECT_EQ(find_integer(object, "n"), 3);
  EXPECT_EQ(find_string(object, "n"), std::nullopt);
  EXPECT_EQ(find_strings(object, "l"), std::vector<std::string>{"a"});
  EXPECT_EQ(find_string(Json(3), "n"), std::nullopt);
  EXPECT_FALSE(string_at(object, "missing"));
  EXPECT_FALSE(parse_json("{", "it"));
}

}  // namespace goldmill
