// SPDX-License-Identifier: GPL-3.0-or-later
#include "step_runner.hpp"

#include <cctype>
#include <cerrno>
#include <fstream>
#include <utility>

#include <sys/stat.h>

#include <goldmill/build/capture.hpp>
#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/build/stored_layer.hpp>
#include <goldmill/build/work.hpp>
#include <goldmill/system/file.hpp>

#include "assembly.hpp"
#include "booted_step.hpp"
#include "stopwatch.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

/// A sandbox that shows a directory for assets in every execution.
class WithOutput : public plan::Sandbox {
 public:
  WithOutput(plan::Sandbox& inner, int output) : inner_(inner), output_(output) {}

  Result<void> run(const plan::Execution& execution) override {
    return inner_.run(with(execution));
  }
  Result<std::string> capture(const plan::Execution& execution) override {
    return inner_.capture(with(execution));
  }
  Result<Json> call(std::string_view worker,
                    const Json& request,
                    const std::vector<int>& hands,
                    const std::function<void(const Json&)>& on_event) override {
    return inner_.call(worker, request, hands, on_event);
  }
  Result<std::string> read(std::string_view path) override { return inner_.read(path); }
  std::int64_t epoch() const override { return inner_.epoch(); }

 private:
  plan::Execution with(const plan::Execution& execution) const {
    plan::Execution extended = execution;
    extended.binds.push_back({output_, "/run/goldmill/output", true});
    return extended;
  }

  plan::Sandbox& inner_;
  int output_;
};

/// The step's log: what its programs said, line by line, for those who follow it as well.
class StepLog {
 public:
  StepLog(const fs::path& directory, const std::string& image, const std::string& step)
      : path_(directory / (image + "." + file_name(step) + ".log")), file_(path_) {}

  void add(std::string_view line) {
    constexpr std::size_t kLongest = 64U << 20;
    if (written_ < kLongest) {
      file_ << line << '\n' << std::flush;
      written_ += line.size() + 1;
    }
  }
  const fs::path& path() const { return path_; }

 private:
  static std::string file_name(const std::string& step) {
    std::string name;
    for (const char c : step.substr(0, 60)) {
      name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
    }
    return name;
  }

  fs::path path_;
  std::ofstream file_;
  std::size_t written_ = 0;
};

plan::DoneStep done_step(const store::StepRecord& step) {
  return {step.key, step.layer, step.record, step.result, step.seconds};
}

std::vector<plan::DoneStep> done_steps(const std::vector<store::StepRecord>& steps) {
  std::vector<plan::DoneStep> done;
  done.reserve(steps.size());
  std::transform(steps.begin(), steps.end(), std::back_inserter(done), done_step);
  return done;
}

}  // namespace

Result<std::optional<plan::DoneStep>> CatalogueHistory::find(const Digest& key) {
  const auto record = TRY(session_.catalogue.find_step(key));
  if (!record) {
    return std::optional<plan::DoneStep>();
  }
  std::error_code ignored;
  const fs::path result =
      record->layer ? session_.home.tree(*record->layer) : session_.home.assets(key);
  if (!fs::is_directory(result, ignored)) {
    return std::optional<plan::DoneStep>();
  }
  return std::optional(done_step(*record));
}

Result<std::vector<plan::DoneStep>> CatalogueHistory::earlier(const std::string& image,
                                                              const std::string& step,
                                                              int most) {
  return done_steps(TRY(session_.catalogue.newest_steps(image, step, most)));
}

Result<std::vector<plan::DoneStep>> CatalogueHistory::earlier_at(const std::string& image,
                                                                 const Json& record,
                                                                 int most) {
  return done_steps(TRY(session_.catalogue.newest_steps_on(
      image, find_string(record, "kind").value_or(""), record.at("parents"), most)));
}

/// "web.yaml:7:5: step 'shell: setup.sh' of web".
std::string StepRunner::place_of(const plan::Step& step) const {
  return (step.asked_at.empty() ? "" : step.asked_at + ": ") + "step '" + step.name + "' of " +
         image_;
}

/// Tools serve images of any date.
std::int64_t StepRunner::epoch_of(const plan::Step& step) const {
  return step.produces == plan::Produces::tools ? 0 : epoch_;
}

Result<plan::DoneStep> StepRunner::run(const plan::Step& step,
                                       const std::vector<Digest>& image_layers) {
  const auto layers = step.produces == plan::Produces::tools ? std::vector<Digest>() : image_layers;
  auto work = TRY(build::WorkDirectory::make(session_.home.root()));
  const Stopwatch stopwatch;
  auto done = TRY(run_in(work.path(), step, layers).context(place_of(step)));
  done.seconds = stopwatch.seconds();
  finished_.push_back(std::move(work));
  const Json* packages = find_value(done.result, "discovered");
  return record(packages == nullptr ? step : plan::with_packages(step, *packages), layers, done);
}

Result<plan::DoneStep> StepRunner::run_in(const fs::path& work,
                                          const plan::Step& step,
                                          const std::vector<Digest>& layers) {
  plan::StepKind* kind = find_kind_(step.kind);
  if (kind == nullptr) {
    return Error{ErrorKind::internal, "no code runs steps of kind " + step.kind};
  }
  StepLog log(session_.home.logs(), image_, step.name);
  build::OverlaySandbox overlay(
      {.layers = TRY(layer_trees(session_, layers)),
       .work = work,
       .epoch = epoch_of(step),
       .log = [&log](std::string_view line) { log.add(line); },
       .is_cancelled = [this] { return session_.observer.is_cancelled(); },
       .limits = {.memory = session_.limits.memory, .time = session_.limits.time},
       .preload = session_.preload});
  const fs::path output_path = work / "output";
  TRY(system::make_directories(output_path));
  if (::chmod(output_path.c_str(), 0777) != 0) {  // guest ids write here
    return system_error("cannot open up " + output_path.string(), errno);
  }
  const system::UniqueFd output = TRY(system::open_directory(output_path));
  WithOutput with_output(overlay, output.get());
  const bool makes_assets = step.produces == plan::Produces::assets;
  plan::Progress progress{[this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
                            session_.observer.step_progress(phase, done, total);
                          },
                          [&log](std::string_view line) { log.add(line); }};
  plan::Sandbox& sandbox = makes_assets ? static_cast<plan::Sandbox&>(with_output) : overlay;
  plan::StepContext context{
      sandbox, progress, session_.home.packages(), step.tools.empty() ? fs::path() : tools_};
  const auto door = make_door_ ? make_door_(step, work / "door") : nullptr;
  context.packages = door.get();
  std::optional<BootedStep> booted;
  if (step.boots) {
    GOLDMILL_ASSERT(layout_ != nullptr);
    booted.emplace(
        session_,
        BootedStepRequest{
            sandbox, TRY(layer_trees(session_, layers)), work / "upper", *layout_, progress});
    context.booted = &*booted;
  }
  auto result = kind->run(step, context);
  if (!result) {
    if (shell_on_failure_ && result.error().kind != ErrorKind::cancelled) {
      session_.observer.note(result.error().text());
      session_.observer.note("a shell in the sandbox of the failed step; `exit` ends it");
      if (const auto shell = overlay.shell(); !shell) {
        session_.observer.note(shell.error().text());
      }
    }
    if (result.error().hint.empty()) {
      result.error().hint = "the whole output is in " + log.path().string();
    }
    return std::move(result).error();
  }
  session_.observer.step_progress("keep", 0, 0);
  return plan::DoneStep{{}, TRY(keep(work, step, layers)), {}, *std::move(result), 0};
}

plan::DoneStep StepRunner::record(const plan::Step& step,
                                  const std::vector<Digest>& layers,
                                  const plan::DoneStep& result) {
  const auto parents = plan::parents_of(step, layers);
  unsettled_.push_back({plan::key_of(step, parents),
                        image_,
                        step.name,
                        step.kind,
                        result.layer,
                        plan::record_of(step, parents),
                        result.result,
                        result.seconds,
                        0});
  return done_step(unsettled_.back());
}

namespace {
/// A run whose layer got lost is forgotten for this one: else it would stay, and the step run each
/// time. What another build did meanwhile stays.
Result<void> write_down(store::Catalogue& catalogue,
                        const fs::path& trees,
                        const store::StepRecord& step) {
  return catalogue.alone([&]() -> Result<void> {
    const auto old = catalogue.find_step(step.key);  // an unreadable one goes, too
    std::error_code ignored;
    if (!old ||
        (*old && (*old)->layer && !fs::is_directory(trees / (*old)->layer->hex(), ignored))) {
      TRY(catalogue.forget_step(step.key));
    }
    return catalogue.record_step(step);
  });
}

/// By a connection of its own: the build's is in use meanwhile.
Result<void> write_down(const fs::path& catalogue_file,
                        const fs::path& trees,
                        const std::vector<store::StepRecord>& steps) {
  auto catalogue = TRY(store::Catalogue::open(catalogue_file));
  for (const store::StepRecord& step : steps) {
    TRY(write_down(catalogue, trees, step));
  }
  return {};
}
}  // namespace

Result<void> StepRunner::begin_to_settle() {
  if (unsettled_.empty()) {
    return {};
  }
  if (settling_.valid()) {
    TRY(settling_.get());
  }
  settling_ = std::async(std::launch::async,
                         [trees = session_.home.trees(),
                          catalogue = session_.home.catalogue(),
                          records = std::exchange(unsettled_, {}),
                          works = std::exchange(finished_, {})]() mutable -> Result<void> {
                           const auto end_here = std::move(works);
                           TRY(build::sync_layers(trees));
                           return write_down(catalogue, trees, records);
                         });
  return {};
}

Result<void> StepRunner::settle() {
  TRY(begin_to_settle());
  return settling_.valid() ? settling_.get() : Result<void>();
}

/// The work's result becomes a layer or assets; settle() makes it durable.
Result<std::optional<Digest>> StepRunner::keep(const fs::path& work,
                                               const plan::Step& step,
                                               const std::vector<Digest>& layers) {
  if (step.produces == plan::Produces::assets) {
    TRY(keep_assets(work / "output", plan::key_of(step, plan::parents_of(step, layers))));
    return std::optional<Digest>();
  }
  const build::CapturedLayer layer = TRY(build::capture_layer(
      {.work = work, .layers = TRY(layer_trees(session_, layers)), .epoch = epoch_of(step)}));
  const fs::path tree = session_.home.tree(layer.diff_id);
  TRY(claims_.add({session_.home.name_of(tree)}));
  std::error_code ignored;
  const bool vouched =
      fs::exists(tree, ignored) && TRY(session_.catalogue.vouches_for(layer.diff_id));
  TRY(build::commit_layer(work,
                          session_.home.trees(),
                          layer.diff_id,
                          vouched ? build::Existing::vouched : build::Existing::doubted));
  return std::optional(layer.diff_id);
}

/// Of builds that make the same at once, the later take what the first made. Alone, so that what is
/// noted of the content is of what lies there.
Result<void> StepRunner::keep_assets(const fs::path& output, const Digest& key) {
  const fs::path target = session_.home.assets(key);
  TRY(claims_.add({session_.home.name_of(target)}));
  const Digest content = TRY(build::identify_tree(output));
  return session_.catalogue.alone([&]() -> Result<void> {
    if (TRY(has_assets(key))) {
      return {};
    }
    std::error_code ignored;
    TRY(fs::exists(target, ignored) ? system::exchange(output, target)
                                    : system::rename_into_place(output, target));
    return session_.catalogue.record_content(session_.home.name_of(target), content);
  });
}

/// As some build made them. Those of a step that does not count as done may have lost their
/// contents in a power cut.
Result<bool> StepRunner::has_assets(const Digest& key) {
  const fs::path target = session_.home.assets(key);
  std::error_code ignored;
  if (!fs::is_directory(target, ignored)) {
    return false;
  }
  if (TRY(session_.catalogue.find_step(key))) {
    return true;
  }
  const auto made = TRY(session_.catalogue.contents());
  const auto content = made.find(session_.home.name_of(target));
  const auto found = build::identify_tree(target);
  return content != made.end() && found && *found == content->second;
}

}  // namespace goldmill::factory
