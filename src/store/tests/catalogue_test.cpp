// SPDX-License-Identifier: GPL-3.0-or-later
#include <thread>

#include <gtest/gtest.h>

#include <goldmill/store/catalogue.hpp>
#include <goldmill/system/file.hpp>

#include "../database.hpp"

namespace goldmill::store {

class CatalogueTest : public testing::Test {
 protected:
  system::TemporaryDirectory scratch_ =
      system::TemporaryDirectory::make(std::filesystem::temp_directory_path(), "goldmill-test.")
          .value();
  std::filesystem::path file_ = scratch_.path() / "catalogue.db";

  static ImageRecord image(const std::string& name, std::string_view content) {
    ImageRecord record;
    record.name = name;
    record.digest = sha256(content);
    record.details = Json::object();
    return record;
  }
};

TEST_F(CatalogueTest, VersionsCountPerNameAndAreNeverReused) {
  Catalogue catalogue = Catalogue::open(file_).value();
  EXPECT_EQ(catalogue.add_image(image("base", "1"))->version, 1);
  EXPECT_EQ(catalogue.add_image(image("base", "2"))->version, 2);
  EXPECT_EQ(catalogue.add_image(image("java", "1"))->version, 1);
  EXPECT_EQ(catalogue.add_image(image("base", "1"))->version, 1) << "same digest, same version";
  const auto refused = [] { return Error{ErrorKind::conflict, "it is in use"}; };
  const auto allowed = [] { return Result<void>(); };
  EXPECT_FALSE(catalogue.remove_image(catalogue.find_image({"base", 2, ""}).value(), refused));
  EXPECT_TRUE(catalogue.find_image({"base", 2, ""}));
  ASSERT_TRUE(catalogue.remove_image(catalogue.find_image({"base", 2, ""}).value(), allowed));
  EXPECT_EQ(catalogue.add_image(image("base", "3"))->version, 3);
}

TEST_F(CatalogueTest, ADigestThatChangedIsDamage) {
  Catalogue catalogue = Catalogue::open(file_).value();
  ImageRecord built = catalogue.add_image(image("base", "1")).value();
  built.details["tested"] = true;
  ASSERT_TRUE(catalogue.update_details(built));
  (void)catalogue.add_image(image("java", "1")).value();
  EXPECT_TRUE(catalogue.damage()->empty());
  Database database = Database::open(file_).value();
  ASSERT_TRUE(database.run("UPDATE images SET disk_digest = ? WHERE name = 'base'",
                           {sha256("another").hex()}));
  const auto damage = catalogue.damage().value();
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_NE(damage[0].find("base@1"), std::string::npos);
  const auto hidden = catalogue.update_details(built);
  ASSERT_FALSE(hidden);
  EXPECT_EQ(hidden.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(catalogue.damage().value(), damage);
}

TEST_F(CatalogueTest, AStepWhoseRowChangedIsDamageAndCanBeForgotten) {
  Catalogue catalogue = Catalogue::open(file_).value();
  StepRecord step;
  step.image = "base";
  for (const char* name : {"whole", "layer", "text", "key", "no layer"}) {
    step.name = name;
    step.key = sha256(name);
    step.layer = sha256(std::string("layer of ") + name);
    step.record = {{"options", {{"size", 1}}}};
    ASSERT_TRUE(catalogue.record_step(step));
  }
  EXPECT_TRUE(catalogue.damage()->empty());
  Database database = Database::open(file_).value();
  ASSERT_TRUE(
      database.run("UPDATE steps SET layer = ? WHERE name = 'layer'", {sha256("another").hex()}));
  ASSERT_TRUE(database.run(
      "UPDATE steps SET description = replace(description, '{', '[') WHERE name = 'text'"));
  ASSERT_TRUE(database.run("UPDATE steps SET key = 'q' || substr(key, 2) WHERE name = 'key'"));
  ASSERT_TRUE(
      database.run("UPDATE steps SET layer = 'q' || substr(layer, 2) WHERE name = 'no layer'"));
  EXPECT_EQ(catalogue.damage()->size(), 4U);
  EXPECT_TRUE(catalogue.step_objects()) << "others are told in spite of these";
  EXPECT_TRUE(catalogue.newest_steps("base", "text", 9)->empty());
  EXPECT_TRUE(catalogue.newest_steps_on("base", "", {}, 9)->empty());
  ASSERT_TRUE(catalogue.forget_damaged_steps());
  EXPECT_TRUE(catalogue.damage()->empty());
  EXPECT_TRUE(catalogue.find_step(sha256("whole")).value());
}

TEST_F(CatalogueTest, FindsByVersionChannelAndNewest) {
  Catalogue catalogue = Catalogue::open(file_).value();
  (void)catalogue.add_image(image("base", "1")).value();
  (void)catalogue.add_image(image("base", "2")).value();
  ASSERT_TRUE(catalogue.set_channel("base", "stable", 1));
  EXPECT_EQ(catalogue.find_image({"base", 0, ""})->version, 2);
  EXPECT_EQ(catalogue.find_image({"base", 1, ""})->version, 1);
  EXPECT_EQ(catalogue.find_image({"base", 0, "stable"})->version, 1);
  const auto missing = catalogue.find_image({"bse", 0, ""});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_NE(missing.error().hint.find("base"), std::string::npos);
}

TEST_F(CatalogueTest, StepsSurviveReopening) {
  StepRecord step;
  step.key = sha256("key");
  step.image = "base";
  step.name = "packages";
  step.kind = "debian.packages";
  step.layer = sha256("layer");
  step.record = {{"inputs", {{"openssl", "3.0.15-1"}}},
                 {"parents", Json::array({"sha256:11", "sha256:22"})}};
  step.result = {{"accounts", {"sshd"}}};
  step.seconds = 12.5;
  {
    Catalogue catalogue = Catalogue::open(file_).value();
    ASSERT_TRUE(catalogue.record_step(step));
    ASSERT_TRUE(catalogue.record_step(step)) << "done twice at once is no error";
  }
  Catalogue catalogue = Catalogue::open(file_).value();
  const auto found = catalogue.find_step(step.key).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->layer, step.layer);
  EXPECT_EQ(found->record, step.record);
  EXPECT_EQ(found->result, step.result);
  EXPECT_EQ(catalogue.newest_steps("base", "packages", 9)->at(0).key, step.key);
  const Json& parents = step.record.at("parents");
  EXPECT_EQ(catalogue.newest_steps_on("base", step.kind, parents, 9)->at(0).key, step.key);
  EXPECT_TRUE(catalogue.newest_steps_on("base", step.kind, Json::array({"sha256:11"}), 9)->empty());
  EXPECT_TRUE(catalogue.newest_steps_on("java", step.kind, parents, 9)->empty());
  EXPECT_FALSE(catalogue.find_step(sha256("other")).value());
}

TEST_F(CatalogueTest, ManyAtOnceLoseNothing) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kImages = 10;
  ASSERT_TRUE(Catalogue::open(file_));
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Catalogue catalogue = Catalogue::open(file_).value();
      for (std::size_t i = 0; i < kImages; ++i) {
        EXPECT_TRUE(
            catalogue.add_image(image("base", std::to_string(t) + "." + std::to_string(i))));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  Catalogue catalogue = Catalogue::open(file_).value();
  const auto images = catalogue.images().value();
  ASSERT_EQ(images.size(), kThreads * kImages);
  for (std::size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(images[i].version, static_cast<int>(i) + 1);
  }
}

TEST(ImageReference, ReadsItsThreeForms) {
  EXPECT_EQ(ImageReference::parse("java")->text(), "java");
  EXPECT_EQ(ImageReference::parse("java@3")->version, 3);
  EXPECT_EQ(ImageReference::parse("java:stable")->channel, "stable");
  for (const char* bad : {"",
                          "Java",
                          "java@",
                          "java@0",
                          "java@x",
                          "java:",
                          "../x",
                          "a b",
                          "-x",
                          "java@3x",
                          "java:..",
                          "a/b"}) {
    EXPECT_FALSE(ImageReference::parse(bad)) << bad;
  }
}

}  // namespace goldmill::store
