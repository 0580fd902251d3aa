// SPDX-License-Identifier: GPL-3.0-or-later
#include "rebuild_worker.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <goldmill/base/utf8.hpp>
#include <goldmill/build/later_clock.hpp>
#include <goldmill/build/layer_difference.hpp>

#include "holdings.hpp"
#include "lineages.hpp"
#include "stopwatch.hpp"
#include "surroundings.hpp"

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {

/// Tells the caller's observer.
class Messenger : public Observer {
 public:
  explicit Messenger(system::WorkerContext& context) : context_(context) {}
  void step_started(std::string_view image,
                    std::string_view step,
                    std::string_view /*reason*/) override {
    context_.send_event({{"started", {image, step}}});
  }
  void step_progress(std::string_view phase, std::uint64_t done, std::uint64_t total) override {
    context_.send_event({{"phase", phase}, {"done", done}, {"total", total}});
  }
  void step_ended(std::string_view step, std::string_view result, double seconds) override {
    context_.send_event({{"ended", {step, result}}, {"seconds", seconds}});
  }
  void note(std::string_view line) override { context_.send_event({{"note", line}}); }
  bool is_cancelled() override { return false; }  // the caller ends us
  std::unique_ptr<Observer> beside(std::string_view /*image*/) override {
    return std::make_unique<Messenger>(context_);
  }

 private:
  system::WorkerContext& context_;
};

/// Text where both are text, around the byte that differs; else in hexadecimal, from it on.
std::string shown(const std::string& bytes, std::size_t lead, bool as_text) {
  constexpr std::size_t kBefore = 16;
  constexpr std::size_t kShown = 48;
  if (as_text) {
    const std::size_t begin = lead > kBefore ? lead - kBefore : 0;
    return '"' + escape_controls(bytes.substr(begin, kShown)) + '"';
  }
  std::string text;
  for (std::size_t i = lead; i < std::min(bytes.size(), lead + 12); ++i) {
    std::array<char, 4> digits{};
    (void)std::snprintf(
        digits.data(), digits.size(), "%02x ", static_cast<unsigned>(bytes[i]) & 0xffU);
    text += digits.data();
  }
  return text.empty() ? "(end of file)" : text.substr(0, text.size() - 1);
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(),
                     bytes.end(),
                     [](char c) {
                       return c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20;
                     }) &&
         bytes.size() > 1;
}

StepDifference row_of(const std::string& step,
                      const build::LayerDifference& difference,
                      const build::Surroundings& surroundings) {
  const bool is_content = difference.kind == build::LayerDifference::Kind::content;
  const bool as_text = !is_content || (is_text(difference.first) && is_text(difference.second));
  const auto value = [&](const std::string& side) {
    return is_content ? shown(side, difference.lead, as_text) : escape_controls(side);
  };
  return {step,
          difference.path,
          build::name_of(difference.kind),
          difference.offset ? std::to_string(*difference.offset) : "",
          value(difference.first),
          value(difference.second),
          likely_cause(difference, surroundings)};
}

class Rebuild {
 public:
  Rebuild(system::WorkerContext& context, store::Home home, store::Catalogue catalogue)
      : context_(context),
        observer_(context),
        home_(std::move(home)),
        catalogue_(std::move(catalogue)) {}

  Result<Json> run() {
    const Stopwatch stopwatch;
    scratch_ = TRY(string_at(context_.request(), "scratch"));
    TRY(find_images());
    preload_ = build::later_clock(find_string(first_.details, "architecture").value_or(""));
    const std::int64_t ahead = preload_.empty() ? 0 : build::kClockAhead.count();
    const std::int64_t now = std::time(nullptr) + ahead;
    report_.conditions = TRY(change_surroundings(scratch_, space()));
    note_surroundings();
    report_.conditions.insert(report_.conditions.begin(),
                              {"clock", time_text(first_.created), time_text(now)});
    causes_.times = {first_.created, now};
    const store::ImageRecord second = TRY(build_again().context("built again"));
    TRY(compare(second));
    report_.image = first_.reference();
    report_.seconds = stopwatch.seconds();
    return report_.to_json();
  }

 private:
  void note_surroundings() {
    for (const Condition& condition : report_.conditions) {
      if (condition.name == "host name") {
        causes_.host_names = {condition.first, condition.second};
      } else if (condition.name == "cores") {
        causes_.cores = {condition.first, condition.second};
      } else if (condition.name == "time zone" || condition.name == "locale") {
        causes_.words.push_back(condition.second);
      }
    }
  }

  Result<void> find_images() {
    const auto found = [&](const std::string& digest) -> Result<store::ImageRecord> {
      auto image = TRY(catalogue_.find_image_by_digest(TRY(Digest::parse(digest))));
      return image ? Result<store::ImageRecord>(*std::move(image))
                   : Result<store::ImageRecord>(
                         Error{ErrorKind::not_found, "the image " + digest + " is gone"});
    };
    first_ = TRY(found(TRY(string_at(context_.request(), "image"))));
    if (const auto parent = find_string(first_.details, "parent_digest")) {
      parent_ = TRY(found(*parent));
    }
    return {};
  }

  /// Layers, the raw disk, the compressed one and as much again for what steps make and remove.
  Bytes space() const {
    const auto used = find_integer(first_.details, "disk_used_bytes").value_or(0);
    return Bytes{static_cast<std::uint64_t>(used) * 4 + (1_GiB).value};
  }

  /// The second home, which has packages and the parent's layers in common with the first.
  Result<store::Home> furnish() {
    const auto link = [](const fs::path& to, const fs::path& from) -> Result<void> {
      std::error_code failure;
      fs::create_directory_symlink(to, from, failure);
      return failure ? Result<void>(system_error("cannot link " + from.string(), failure.value()))
                     : Result<void>();
    };
    TRY(link(home_.packages(), scratch_ / "packages"));
    store::Home second = TRY(store::Home::open(scratch_));
    if (!parent_) {
      return second;
    }
    for (const Digest& layer : TRY(layers_of(*parent_))) {
      TRY(link(home_.tree(layer), second.tree(layer)));
    }
    const Digest assets = TRY(Digest::parse(TRY(string_at(parent_->details, "assets"))));
    TRY(link(home_.assets(assets), second.assets(assets)));
    for (const char* name : {"dpkg_status", "extended_states"}) {
      const Digest blob = TRY(Digest::parse(TRY(string_at(parent_->details, name))));
      TRY(second.put_blob(TRY(home_.get_blob(blob))));
    }
    return second;
  }

  Result<store::ImageRecord> build_again() {
    BuildRequest request;
    request.recipes = {TRY(string_at(context_.request(), "recipe"))};
    request.set = context_.request().at("set").get<std::map<std::string, std::string>>();
    request.os = TRY(string_at(context_.request(), "os"));
    request.locked = true;
    request.keep_lock = true;
    Session session = TRY(Session::open(observer_, TRY(furnish())));
    session.preload = preload_;
    if (parent_) {  // a build asks whether it is still there
      TRY(session.catalogue.add_image(*parent_));
    }
    const Lineages lineages = TRY(Lineages::read(request));
    ImageBuild build = TRY(ImageBuild::prepare(
        session, request, TRY(subject_of(session, lineages.members().back().own, parent_))));
    return TRY(build.run()).image;
  }

  Result<void> compare(const store::ImageRecord& second) {
    const Json steps = first_.details.value("steps", Json::array());
    const Json again = second.details.value("steps", Json::array());
    if (steps.size() != again.size()) {
      return Error{ErrorKind::conflict,
                   "the recipe has other steps than when " + first_.reference() + " was built",
                   "build it again"};
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
      report_.steps.push_back(find_string(steps[i], "name").value_or(""));
      observer_.step_progress("compare", i, steps.size());
      const auto one = find_string(steps[i], "layer");
      const auto other = find_string(again[i], "layer");
      TRY(one && other ? compare_layers(*one, *other) : compare_assets(second));
    }
    report_.steps.emplace_back("disk");
    compare_disks(second);
    return {};
  }

  Result<void> compare_layers(const std::string& one, const std::string& other) {
    return one == other
               ? Result<void>()
               : compare(home_.trees(), TRY(Digest::parse(one)), TRY(Digest::parse(other)));
  }

  Result<void> compare_assets(const store::ImageRecord& second) {
    const std::string one = TRY(string_at(first_.details, "assets"));
    const std::string other = TRY(string_at(second.details, "assets"));
    return compare(home_.root() / "assets", TRY(Digest::parse(one)), TRY(Digest::parse(other)));
  }

  void compare_disks(const store::ImageRecord& second) {
    const bool is_same = second.digest == first_.digest && second.disk_digest == first_.disk_digest;
    if (report_.differences.empty() && !is_same) {
      report_.differences.push_back({"disk",
                                     "",
                                     "digest",
                                     "",
                                     first_.disk_digest.text(),
                                     second.disk_digest.text(),
                                     "the disk writer itself, since all layers are the same"});
    }
  }

  /// What the last step in the report made, in `area` of the first home and of the second.
  Result<void> compare(const fs::path& area, const Digest& one, const Digest& other) {
    const std::string& step = report_.steps.back();
    const auto epoch = find_integer(first_.details, "epoch").value_or(0);
    const build::LayerComparison compared =
        TRY(build::compare_layers(area / one.hex(), scratch_ / area.filename() / other.hex(), epoch)
                .context("comparing what " + step + " made"));
    for (const build::LayerDifference& difference : compared.differences) {
      report_.differences.push_back(row_of(step, difference, causes_));
    }
    report_.omitted += compared.count - compared.differences.size();
    return {};
  }

  system::WorkerContext& context_;
  Messenger observer_;
  store::Home home_;
  store::Catalogue catalogue_;
  fs::path scratch_;
  std::string_view preload_;
  store::ImageRecord first_;
  std::optional<store::ImageRecord> parent_;
  build::Surroundings causes_;
  ReproducibilityReport report_;
};

}  // namespace

Result<Json> rebuild_worker(system::WorkerContext& context) {
  store::Home home = TRY(store::Home::open(TRY(string_at(context.request(), "home"))));
  store::Catalogue catalogue = TRY(store::Catalogue::open(home.catalogue()));
  return Rebuild(context, std::move(home), std::move(catalogue)).run();
}

void pass_on(const Json& event, Observer& observer) {
  if (const auto names = find_strings(event, "started"); names.size() == 2) {
    observer.step_started(names[0], names[1], "again, in other surroundings");
  } else if (const auto said = find_strings(event, "ended"); said.size() == 2) {
    observer.step_ended(said[0], said[1], event.value("seconds", 0.0));
  } else if (const auto line = find_string(event, "note")) {
    observer.note(*line);
  } else {
    observer.step_progress(find_string(event, "phase").value_or(""),
                           static_cast<std::uint64_t>(find_integer(event, "done").value_or(0)),
                           static_cast<std::uint64_t>(find_integer(event, "total").value_or(0)));
  }
}

std::span<const system::WorkerEntry> workers() {
  static constexpr std::array kWorkers = {system::WorkerEntry{kRebuildWorker, &rebuild_worker}};
  return kWorkers;
}

}  // namespace goldmill::factory
