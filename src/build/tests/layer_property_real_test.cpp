// SPDX-License-Identifier: GPL-3.0-or-later
// What holds for every tree: a captured layer over the layers below shows what the sandbox
// showed, and its name follows from the changes alone.
// GOLDMILL_TEST_SEED=N repeats one case.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <goldmill/build/capture.hpp>
#include <goldmill/system/file.hpp>

#include "small_root.hpp"

namespace goldmill::build::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kEpoch = 1700000000;
constexpr int kCases = 12;

std::vector<std::int64_t> seeds() {
  const char* const given = std::getenv("GOLDMILL_TEST_SEED");  // NOLINT(concurrency-mt-unsafe)
  if (given != nullptr) {
    return {std::atoll(given)};
  }
  // Half of them are the same in every run.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto fresh = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  std::vector<std::int64_t> all;
  all.reserve(kCases);
  for (int i = 0; i < kCases; ++i) {
    all.push_back(i % 2 == 0 ? i : fresh * 100 + i);
  }
  return all;
}

class LayerProperty : public testing::Test {
 protected:
  using Lines = std::vector<std::string>;

  void SetUp() override {
    if (const std::string reason = missing_for_sandboxes(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }

  static Lines described(const std::vector<fs::path>& layers, const fs::path& work) {
    OverlaySandbox view({.layers = layers, .work = work});
    const auto answer = view.call("test.describe", {{"epoch", kEpoch}}, {}, {});
    EXPECT_TRUE(answer) << answer.error().text();
    return answer ? find_strings(*answer, "entries") : Lines();
  }

  static void change(const std::vector<fs::path>& layers,
                     const fs::path& work,
                     std::int64_t seed,
                     std::int64_t count) {
    OverlaySandbox sandbox({.layers = layers, .work = work});
    const auto done = sandbox.call("test.change", {{"seed", seed}, {"changes", count}}, {}, {});
    ASSERT_TRUE(done) << done.error().text();
  }

  /// Packs the layer and unpacks it elsewhere, so that its directories have another order.
  static fs::path copied(const fs::path& upper) {
    const fs::path file = Home::get().path() / "property.tar";
    const auto tar = system::open_file(file, O_RDWR | O_CREAT | O_TRUNC, 0644);
    const auto tree = system::open_directory(upper);
    const auto packed = system::run_worker({.name = "test.pack",
                                            .confinement = system::Confinement::guest_ids,
                                            .hands = {tree->get(), tar->get()}});
    EXPECT_TRUE(packed) << packed.error().text();
    const fs::path work = Home::get().work();
    const auto to = system::open_directory(work);
    const auto from = system::open_file(file, O_RDONLY);
    const auto unpacked = system::run_worker({.name = "test.unpack",
                                              .confinement = system::Confinement::guest_ids,
                                              .hands = {to->get(), from->get()}});
    EXPECT_TRUE(unpacked) << unpacked.error().text();
    return work;
  }

  /// Captures the work, twice and from a copy; the layer's tree, or "" after a failure.
  static fs::path committed(const std::vector<fs::path>& layers, const fs::path& work) {
    const auto capture = [&](const fs::path& of) {
      return capture_layer({.work = of, .layers = layers, .epoch = kEpoch});
    };
    const auto layer = capture(work);
    const auto again = capture(work);
    EXPECT_TRUE(layer && again) << (layer ? again : layer).error().text();
    if (!layer || !again) {
      return {};
    }
    EXPECT_EQ(again->diff_id, layer->diff_id) << "captured twice";
    const auto copy = capture(copied(work / "upper"));
    EXPECT_TRUE(copy) << copy.error().text();
    EXPECT_TRUE(!copy || copy->diff_id == layer->diff_id) << "captured from a copy";
    const fs::path trees = Home::get().path() / "trees";
    EXPECT_TRUE(commit_layer(work, trees, layer->diff_id));
    return trees / layer->diff_id.hex();
  }

  static std::string without_time(const std::string& line) {
    const std::size_t start = line.find(" time=");
    const std::size_t end = line.find_first_not_of("0123456789", start + 6);
    return start == std::string::npos
               ? line
               : line.substr(0, start) + (end == std::string::npos ? "" : line.substr(end));
  }

  /// A new time alone is no change: what equals the layers below may keep theirs.
  static void expect_same(const Lines& shown, const Lines& meant, const Lines& below) {
    ASSERT_EQ(shown.size(), meant.size());
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const bool is_from_below = without_time(shown[i]) == without_time(meant[i]) &&
                                 std::find(below.begin(), below.end(), shown[i]) != below.end();
      if (!is_from_below) {
        EXPECT_EQ(shown[i], meant[i]);
      }
    }
  }

  /// Each layer over the last ones shows what was meant, and so do all of them at the end.
  static void expect_layers_to_show_what_was_meant(std::int64_t seed) {
    std::vector<fs::path> layers = {Home::get().base()};
    Lines below;
    for (const std::int64_t count : {40, 25, 10}) {
      const fs::path work = Home::get().work();
      change(layers, work, seed * 10 + count, count);
      const Lines meant = described(layers, work);
      ASSERT_FALSE(meant.empty());
      const fs::path layer = committed(layers, work);
      ASSERT_FALSE(layer.empty());
      layers.push_back(layer);
      const Lines shown = described(layers, {});
      SCOPED_TRACE("layer " + std::to_string(layers.size() - 1));
      expect_same(shown, meant, below);
      below = shown;
    }
  }
};

TEST_F(LayerProperty, LayersShowWhatWasMeant) {
  for (const std::int64_t seed : seeds()) {
    SCOPED_TRACE("GOLDMILL_TEST_SEED=" + std::to_string(seed));
    expect_layers_to_show_what_was_meant(seed);
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace goldmill::build::test
