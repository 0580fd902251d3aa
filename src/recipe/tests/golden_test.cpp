// SPDX-License-Identifier: GPL-3.0-or-later
// Golden files: each bad recipe of tests/golden/bad with its error, and the generated schema and
// reference of docs/reference. GOLDMILL_ACCEPT=1 writes them anew and reports "skipped", so that
// an accepting run never looks green.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/recipe/load.hpp>
#include <goldmill/system/file.hpp>
#include <goldmill/system/process.hpp>

#include "../schema.hpp"

namespace goldmill::recipe {

namespace fs = std::filesystem;

namespace {

const fs::path kSource = GOLDMILL_SOURCE_DIR;

bool accepting() {
  return std::getenv("GOLDMILL_ACCEPT") != nullptr;
}

void expect_golden(const fs::path& file, const std::string& text) {
  if (accepting()) {
    ASSERT_TRUE(system::write_file(file, text));
    return;
  }
  const auto golden = system::read_file(file);
  ASSERT_TRUE(golden) << golden.error().text() << "; run with GOLDMILL_ACCEPT=1 to make it";
  EXPECT_EQ(text, *golden) << file << "; run with GOLDMILL_ACCEPT=1 when it is meant";
}

std::vector<fs::path> bad_recipes() {
  std::vector<fs::path> recipes;
  for (const auto& entry : fs::directory_iterator(kSource / "tests/golden/bad")) {
    if (entry.path().extension() == ".yaml") {
      recipes.push_back(entry.path());
    }
  }
  std::sort(recipes.begin(), recipes.end());
  return recipes;
}

std::string without(std::string text, const std::string& part) {
  for (std::size_t at = 0; (at = text.find(part)) != std::string::npos;) {
    text.erase(at, part.size());
  }
  return text;
}

}  // namespace

TEST(GoldenTest, EveryBadRecipeHasItsError) {
  const auto recipes = bad_recipes();
  ASSERT_GT(recipes.size(), 90U);
  for (const fs::path& file : recipes) {
    SCOPED_TRACE(file.filename());
    const auto recipe = load(file);
    ASSERT_FALSE(recipe) << "this recipe was accepted";
    EXPECT_EQ(recipe.error().kind, ErrorKind::invalid_input);
    const std::string directory = file.parent_path().string() + "/";
    const std::string message = without(recipe.error().message, directory);
    EXPECT_THAT(message, testing::MatchesRegex(file.filename().string() + ":[0-9]+:[0-9]+: .+"));
    EXPECT_THAT(recipe.error().text() + recipe.error().hint,
                testing::Not(testing::HasSubstr("hunter2")));
    expect_golden(fs::path(file).replace_extension(".error"),
                  message + "\n" +
                      (recipe.error().hint.empty()
                           ? ""
                           : "hint: " + without(recipe.error().hint, directory) + "\n"));
  }
  if (accepting()) {
    GTEST_SKIP() << "golden files written";
  }
}

TEST(GoldenTest, SchemaAndReferenceAreFresh) {
  expect_golden(kSource / "docs/reference/recipe.schema.json", json_schema());
  expect_golden(kSource / "docs/reference/recipe.md", reference_markdown());
  if (accepting()) {
    GTEST_SKIP() << "golden files written";
  }
}

namespace {

void check_examples(const Value& value, const std::string& path, int& count) {
  for (const Field& field : value.fields) {
    const std::string key = child_path(path, field.key);
    SCOPED_TRACE(key);
    EXPECT_FALSE(field.doc.empty());
    if (!field.example.empty()) {
      const auto document = parse_document(field.key + ": " + field.example + "\n", "example");
      ASSERT_TRUE(document) << document.error().text();
      const auto valid = validate(*document, document->root.items.at(0), field.value, key);
      EXPECT_TRUE(valid) << valid.error().text();
      ++count;
    }
    const Value* inner = &field.value;
    while (inner->item != nullptr) {
      inner = inner->item.get();
    }
    check_examples(*inner, key, count);
  }
}

}  // namespace

TEST(SchemaTest, EveryExampleOfTheTableIsValid) {
  int count = 0;
  check_examples(recipe_schema(), "", count);
  EXPECT_GT(count, 50);
}

/// The judge is python3-jsonschema: the shipped examples fit the schema, these mistakes do not.
TEST(SchemaTest, AnotherValidatorAgrees) {
  const char* script = R"(
import json, pathlib, sys
try:
    import jsonschema, yaml
except ImportError:
    sys.exit(77)
root = pathlib.Path(sys.argv[1])
schema = json.loads((root / 'docs/reference/recipe.schema.json').read_text())
checker = jsonschema.Draft202012Validator
checker.check_schema(schema)
judge = checker(schema)
examples = sorted((root / 'examples').glob('*.yaml'))
assert len(examples) >= 3, examples
for example in examples:
    errors = [e.message for e in judge.iter_errors(yaml.safe_load(example.read_text()))]
    assert not errors, (example, errors)
for name in ['unknown-key', 'unknown-key-nested', 'wrong-type-list', 'plain-password', 'unknown-os',
             'size-without-unit', 'bad-port', 'bad-timezone', 'from-and-os', 'neither-from-nor-os',
             'no-name', 'step-two-kinds', 'step-unknown', 'script-and-file', 'bad-mode',
             'secret-without-value', 'unknown-hardware', 'boot-seconds-zero', 'include']:
    recipe = yaml.safe_load((root / 'tests/golden/bad' / (name + '.yaml')).read_text())
    assert not judge.is_valid(recipe), name
)";
  auto output = system::process_runner().run(
      system::Command{.argv = {"python3", "-c", script, kSource.string()}});
  if (!output || output->status == 77) {
    GTEST_SKIP() << "python3-jsonschema or python3-yaml is not installed";
  }
  EXPECT_EQ(output->status, 0) << output->errors;
}

TEST(ExamplesTest, LoadButForTheKeyThatTheDemoMakes) {
  const auto base = load(kSource / "examples/base.yaml");
  if (!base) {  // ops.pub is never committed
    EXPECT_THAT(base.error().message, testing::HasSubstr("there is no file 'ops.pub'"));
    EXPECT_THAT(base.error().hint, testing::HasSubstr("ssh-keygen"));
  }
  const auto java = load(kSource / "examples/java.yaml");
  ASSERT_TRUE(java) << java.error().text();
  EXPECT_EQ(java->from, "base");
  const auto web = load(kSource / "examples/web-files.yaml");
  ASSERT_TRUE(web) << web.error().text();
  EXPECT_THAT(std::get<ShellStep>(web->provision.at(1).action).script,
              testing::HasSubstr("echo 'hello from goldmill'"));
}

}  // namespace goldmill::recipe
