// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/plan/package_door.hpp>
#include <goldmill/plan/step.hpp>

namespace goldmill::plan {
namespace {

Step example() {
  Step step;
  step.name = "packages";
  step.kind = "debian.packages";
  step.kind_version = 2;
  step.options = {{"recommends", false}};
  step.inputs = {{"tini", "sha256:00"}};
  return step;
}

TEST(StepKey, IsTheHashOfItsCanonicalForm) {
  // Written down once: a change here makes every step of every user run again.
  const std::string form =
      R"({"inputs":{"tini":"sha256:00"},"kind":"debian.packages","kind_version":2,"network":false,)"
      R"("options":{"recommends":false},"parents":["sha256:)" +
      std::string(64, '0') + R"("],"produces":"layer"})";
  EXPECT_EQ(key_of(example(), {Digest()}).text(), sha256(form).text());
}

TEST(StepKey, ChangesWithEverythingThatChangesTheLayer) {
  const Digest before = key_of(example(), {});
  for (const auto& change :
       std::vector<void (*)(Step&)>{[](Step& step) { step.kind = "shell"; },
                                    [](Step& step) { step.kind_version = 3; },
                                    [](Step& step) { step.options["recommends"] = true; },
                                    [](Step& step) { step.inputs["tini"] = "sha256:01"; },
                                    [](Step& step) { step.inputs["other"] = ""; },
                                    [](Step& step) { step.produces = Produces::assets; },
                                    [](Step& step) { step.produces = Produces::tools; },
                                    [](Step& step) { step.network = true; }}) {
    Step changed = example();
    change(changed);
    EXPECT_NE(key_of(changed, {}), before);
  }
  EXPECT_NE(key_of(example(), {Digest()}), before);
}

TEST(StepKey, IgnoresNamesAndPathsOfThisMachine) {
  Step moved = example();
  moved.name = "another label";
  moved.sources = {{"script", "/home/somebody/setup.sh"}};
  EXPECT_EQ(key_of(moved, {}), key_of(example(), {}));
}

TEST(StepKey, CoversWhatTheStepDiscovered) {
  const Step before = example();
  const Json packages =
      Json::array({Json{{"name", "apache2"}, {"version", "1"}, {"sha256", "00"}, {"source", 1}}});
  const Step found = with_packages(before, packages);
  EXPECT_NE(key_of(found, {}), key_of(before, {}));
  Json newer = packages;
  newer[0]["sha256"] = "01";
  EXPECT_NE(key_of(with_packages(before, newer), {}), key_of(found, {}));
  newer = packages;
  newer[0]["source"] = 0;
  EXPECT_EQ(key_of(with_packages(before, newer), {}), key_of(found, {})) << "not where it lies";
  EXPECT_EQ(key_of(with_packages(before, Json::array()), {}), key_of(before, {}));
}

TEST(StepKey, DeclarationIsWhatTheStepItselfSays) {
  Step dated = with_packages(example(), Json::array({Json{{"name", "apache2"}}}));
  dated.inputs["epoch"] = "1";
  EXPECT_EQ(declaration_of(dated), declaration_of(example()));
  dated.inputs["manifest"] = "sha256:01";
  EXPECT_NE(declaration_of(dated), declaration_of(example()));
}

}  // namespace
}  // namespace goldmill::plan
