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

TEST_F(CatalogueTest, OneOfAnotherCatalogueIsAddedAsTheNextVersion) {
  Catalogue catalogue = Catalogue::open(file_).value();
  ImageRecord other = image("base", "1");
  other.version = 7;
  EXPECT_EQ(catalogue.add_image(other)->version, 1);
  EXPECT_TRUE(catalogue.find_image_by_digest(other.digest).value());
}

TEST_F(CatalogueTest, VersionsCountPerNameAndAreNeverReused) {
  Catalogue catalogue = Catalogue::open(file_).value();
  EXPECT_EQ(catalogue.add_image(image("base", "1"))->version, 1);
  EXPECT_EQ(catalogue.add_image(image("base", "2"))->version, 2);
  EXPECT_EQ(catalogue.add_image(image("java", "1"))->version, 1);
  EXPECT_EQ(catalogue.add_image(image("base", "1"))->version, 1) << "same digest, same version";
  const auto refused = [] { return Error{ErrorKind::conflict, "it is in use"}; };
  const auto allowed = [] { return Result<void>(); };
  EXPECT_FALSE(catalogue.remove_image({"base", 2, {}}, refused));
  EXPECT_TRUE(catalogue.find_image({"base", 2, ""}));
  ASSERT_TRUE(catalogue.remove_image({"base", 2, {}}, allowed));
  EXPECT_EQ(catalogue.add_image(image("base", "3"))->version, 3);
}

TEST_F(CatalogueTest, ADigestThatChangedIsDamage) {
  Catalogue catalogue = Catalogue::open(file_).value();
  ImageRecord built = catalogue.add_image(image("base", "1")).value();
  built.details["tested"] = true;
  ASSERT_TRUE(catalogue.update_details(built));
  (void)catalogue.add_image(image("java", "1")).value();
  EXPECT_TRUE(catalogue.damaged_images()->empty());
  Database database = Database::open(file_).value();
  ASSERT_TRUE(database.run("UPDATE images SET disk_digest = ? WHERE name = 'base'",
                           {sha256("another").hex()}));
  const auto damaged = catalogue.damaged_images().value();
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].reference(), "base@1");
  const auto hidden = catalogue.update_details(built);
  ASSERT_FALSE(hidden);
  EXPECT_EQ(hidden.error().kind, ErrorKind::corrupt);
  EXPECT_EQ(catalogue.damaged_images()->size(), 1U);
}

class DamagedImageTest : public CatalogueTest, public testing::WithParamInterface<const char*> {
 protected:
  /// A base, and a variant on it whose row is damaged as the parameter says.
  void SetUp() override {
    (void)catalogue_.add_image(base_).value();
    web_.config = {{"os", "linux"}};
    web_.digest = sha256(canonical(web_.config));
    web_.details = {{"parent_digest", base_.digest.text()},
                    {"recipe_file", "/srv/web.yaml"},
                    {"set", {{"word", "two"}}}};
    (void)catalogue_.add_image(web_).value();
    Database database = Database::open(file_).value();
    ASSERT_TRUE(
        database.run(std::string("UPDATE images SET ") + GetParam() + " WHERE name = 'web'"));
  }

  Catalogue catalogue_ = Catalogue::open(file_).value();
  ImageRecord base_ = image("base", "1");
  ImageRecord web_ = image("web", "1");
};

TEST_P(DamagedImageTest, StopsNothingElseAndCanBeMendedOrRemoved) {
  const auto whole = catalogue_.images().value();
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(whole[0].name, "base");
  EXPECT_EQ(catalogue_.find_image({"web", 1, ""}).error().kind, ErrorKind::corrupt);
  EXPECT_FALSE(catalogue_.find_image_by_digest(web_.digest).value());
  const auto damaged = catalogue_.damaged_images().value();
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].reference(), "web@1");
  EXPECT_FALSE(damaged[0].why.empty());
  EXPECT_EQ(damaged[0].recipe_file, "/srv/web.yaml");
  EXPECT_EQ(damaged[0].set.at("word"), "two");
  const auto children = catalogue_.children_of(base_.digest).value();
  ASSERT_EQ(children.size(), 1U) << "nobody removes what it stands on";
  EXPECT_EQ(children[0].reference(), "web@1");
  const std::string change = GetParam();
  const bool follows_from_the_rest = !change.starts_with("details") && !change.starts_with("disk");
  EXPECT_EQ(catalogue_.mend_image(damaged[0], canonical(web_.config)).value(),
            follows_from_the_rest);
  if (!follows_from_the_rest) {
    EXPECT_EQ(catalogue_.add_image(web_)->version, 1) << "built again, it is what it was";
  }
  EXPECT_EQ(catalogue_.find_image({"web", 1, ""})->details.at("recipe_file"), "/srv/web.yaml");
  EXPECT_TRUE(catalogue_.damaged_images()->empty());
  ASSERT_TRUE(catalogue_.remove_image(damaged[0], [] { return Result<void>(); }));
  EXPECT_EQ(catalogue_.images()->size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(EachColumn,
                         DamagedImageTest,
                         testing::Values("digest = 'q' || substr(digest, 2)",
                                         "parent = 'q' || substr(parent, 2)",
                                         "parent = NULL",
                                         "config = replace(config, 'linux', 'minux')",
                                         "config = substr(config, 2)",
                                         "disk_digest = 'q' || substr(disk_digest, 2)",
                                         "details = '[' || substr(details, 2)"));

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
  EXPECT_TRUE(catalogue.damaged_rows()->lines().empty());
  EXPECT_TRUE(catalogue.damage()->empty());
  Database database = Database::open(file_).value();
  ASSERT_TRUE(
      database.run("UPDATE steps SET layer = ? WHERE name = 'layer'", {sha256("another").hex()}));
  ASSERT_TRUE(database.run(
      "UPDATE steps SET description = replace(description, '{', '[') WHERE name = 'text'"));
  ASSERT_TRUE(database.run("UPDATE steps SET key = 'q' || substr(key, 2) WHERE name = 'key'"));
  ASSERT_TRUE(
      database.run("UPDATE steps SET layer = 'q' || substr(layer, 2) WHERE name = 'no layer'"));
  EXPECT_EQ(catalogue.damaged_rows()->steps.size(), 4U);
  EXPECT_EQ(catalogue.damaged_rows()->lines().size(), 4U);
  EXPECT_TRUE(catalogue.step_objects()) << "others are told in spite of these";
  EXPECT_TRUE(catalogue.newest_steps("base", "text", 9)->empty());
  EXPECT_TRUE(catalogue.newest_steps_on("base", "", {}, 9)->empty());
  EXPECT_EQ(catalogue.forget_damaged_rows()->steps.size(), 4U);
  EXPECT_TRUE(catalogue.damaged_rows()->lines().empty());
  EXPECT_TRUE(catalogue.find_step(sha256("whole")).value());
}

TEST_F(CatalogueTest, WhatIsKnownOfObjectsIsForgottenWhereItCannotBeRead) {
  Catalogue catalogue = Catalogue::open(file_).value();
  for (const char* name : {"whole", "layer", "blob"}) {
    ASSERT_TRUE(catalogue.record_blob(sha256(name), {sha256("packed"), 3, Compression::gzip}));
  }
  ASSERT_TRUE(catalogue.record_content("disks/1", sha256("1")));
  ASSERT_TRUE(catalogue.record_content("disks/2", sha256("2")));
  Database database = Database::open(file_).value();
  ASSERT_TRUE(database.run("UPDATE layer_blobs SET layer = 'q' || substr(layer, 2) WHERE layer = ?",
                           {sha256("layer").hex()}));
  ASSERT_TRUE(database.run("UPDATE layer_blobs SET blob = 'q' || substr(blob, 2) WHERE layer = ?",
                           {sha256("blob").hex()}));
  ASSERT_TRUE(database.run("UPDATE contents SET digest = 'q' WHERE object = 'disks/2'"));
  EXPECT_EQ(catalogue.layer_blobs()->size(), 1U) << "others are told in spite of these";
  EXPECT_EQ(catalogue.contents()->size(), 1U);
  const DamagedRows forgotten = catalogue.forget_damaged_rows().value();
  EXPECT_EQ(forgotten.blobs.size(), 2U);
  EXPECT_EQ(forgotten.contents, std::vector<std::string>{"disks/2"});
  EXPECT_TRUE(catalogue.damaged_rows()->lines().empty());
  EXPECT_EQ(catalogue.layer_blobs()->size() + catalogue.contents()->size(), 2U);
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
