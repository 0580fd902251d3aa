// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <future>
#include <map>

#include <goldmill/build/compare.hpp>
#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/factory/image_size.hpp>
#include <goldmill/guest/file_owners.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/store/reference.hpp>
#include <goldmill/system/file.hpp>

#include "ancestry.hpp"
#include "assembly.hpp"

namespace goldmill::factory {

namespace {

using Sizes = std::map<std::string, SizeShare>;

void add_share(Sizes& sizes, const std::string& name, std::uint64_t bytes) {
  SizeShare& share = sizes[name];
  share.name = name;
  share.size.value += bytes;
  ++share.files;
}

std::vector<SizeShare> largest_first(const Sizes& sizes) {
  std::vector<SizeShare> list;
  for (const auto& [name, share] : sizes) {
    list.push_back(share);
  }
  std::stable_sort(list.begin(), list.end(), [](const SizeShare& one, const SizeShare& other) {
    return one.size > other.size;
  });
  return list;
}

/// The directory of a path, cut after `names` names: "/usr/lib" of "/usr/lib/x/y" for 2.
std::string upper_directory(const std::string& path, std::size_t names) {
  const std::string directory = path.substr(0, path.rfind('/'));
  std::size_t end = 0;
  for (std::size_t name = 0; name < names && end != std::string::npos; ++name) {
    end = directory.find('/', end + 1);
  }
  return directory.empty() ? "/" : directory.substr(0, end);
}

/// What is on the disk: bytes by path, and the sums.
struct Occupied {
  std::map<std::string, std::uint64_t> files;
  std::uint64_t used = 0;
  std::uint64_t tables = 0;
  std::uint64_t boot = 0;
};

Result<Occupied> measure_disk(Session& session, const DiskParts& parts) {
  Occupied occupied;
  const auto take = [&occupied](const Json& event) {
    const Json* files = find_value(event, "files");
    for (const Json& file : files == nullptr ? Json::array() : *files) {
      occupied.files[file.at(0).get<std::string>()] += file.at(1).get<std::uint64_t>();
    }
  };
  const Json answer = TRY(run_disk_worker(session, parts, "disk.measure", {}, take));
  const auto bytes = [&answer](const char* key) {
    return static_cast<std::uint64_t>(find_integer(answer, key).value_or(0));
  };
  occupied.used = bytes("used_bytes");
  occupied.tables = bytes("table_bytes");
  occupied.boot = bytes("boot_bytes");
  return occupied;
}

/// The steps whose layers the image has, bottom to top.
std::vector<StepShare> steps_of(const std::vector<store::ImageRecord>& line,
                                const std::vector<Digest>& layers) {
  std::map<std::string, StepShare> by_layer;
  for (const store::ImageRecord& image : line) {
    const Json* steps = find_value(image.details, "steps");
    for (const Json& step : steps == nullptr ? Json::array() : *steps) {
      const std::string layer = find_string(step, "layer").value_or("");
      by_layer[layer].image = image.reference();
      by_layer[layer].step = find_string(step, "name").value_or("");
    }
  }
  std::vector<StepShare> steps;
  for (const Digest& layer : layers) {
    steps.push_back(by_layer[layer.text()]);
    steps.back().layer = layer.text();
  }
  return steps;
}

/// Joins what each source knows of a path.
class Accounts {
 public:
  Accounts(const Occupied& occupied,
           const guest::FileOwners& owners,
           const std::map<std::string, std::size_t>& layers)
      : occupied_(occupied), owners_(owners), layers_(layers) {}

  void settle(ImageSize& size) {
    directories_of_step_.resize(size.steps.size());
    for (const auto& [path, bytes] : occupied_.files) {
      size.measured.value += bytes;
      add_share(directories_, upper_directory(path, 2), bytes);
      const auto layer = layers_.find(path);
      const std::size_t step = layer == layers_.end() ? 0 : layer->second;
      size.steps.at(step).size.value += bytes;
      const auto owners = owners_.find(path);
      if (owners != owners_.end() && owners->second.size() == 1) {
        add_share(packages_, owners->second.front(), bytes);
      } else {
        size.steps[step].unpackaged.value += bytes;
        add_share(directories_of_step_[step], upper_directory(path, 3), bytes);
      }
    }
    for (std::size_t step = 0; step < size.steps.size(); ++step) {
      size.steps[step].directories = largest_first(directories_of_step_[step]);
    }
    size.packages = largest_first(packages_);
    size.directories = largest_first(directories_);
    size.reserved = Bytes{occupied_.used - size.measured.value};
    size.measured = Bytes{occupied_.used};
  }

 private:
  const Occupied& occupied_;
  const guest::FileOwners& owners_;
  const std::map<std::string, std::size_t>& layers_;
  Sizes packages_;
  Sizes directories_;
  std::vector<Sizes> directories_of_step_;
};

Json share_rows(const std::vector<SizeShare>& shares) {
  Json list = Json::array();
  for (const SizeShare& share : shares) {
    list.push_back({{"name", share.name}, {"bytes", share.size.value}, {"files", share.files}});
  }
  return list;
}

}  // namespace

Bytes ImageSize::hidden() const {
  Bytes sum;
  for (const StepShare& step : steps) {
    sum.value += step.hidden.value;
  }
  return sum;
}

Json ImageSize::to_json() const {
  Json step_rows = Json::array();
  for (const StepShare& step : steps) {
    step_rows.push_back({{"image", step.image},
                         {"step", step.step},
                         {"layer", step.layer},
                         {"bytes", step.size.value},
                         {"unpackaged_bytes", step.unpackaged.value},
                         {"directories", share_rows(step.directories)},
                         {"hidden_bytes", step.hidden.value}});
  }
  return {{"image", image},
          {"disk_used_bytes", used.value},
          {"packages", share_rows(packages)},
          {"steps", std::move(step_rows)},
          {"directories", share_rows(directories)},
          {"lost_and_found_bytes", reserved.value},
          {"table_bytes", tables.value},
          {"boot_bytes", boot.value},
          {"hidden_bytes", hidden().value}};
}

Result<ImageSize> measure_image(Session& session, const std::string& name) {
  const auto image = TRY(session.catalogue.find_image(TRY(store::ImageReference::parse(name))));
  const DiskParts parts = TRY(parts_of(image));
  const auto trees = TRY(layer_trees(session, parts.layers).context(image.reference()));
  session.observer.step_progress("measure", 0, 0);
  auto occupied = std::async(std::launch::async, [&] { return measure_disk(session, parts); });
  build::OverlaySandbox view({.layers = trees, .epoch = parts.epoch});
  const auto owners = guest::file_owners(view);
  std::map<std::string, std::size_t> layers;
  const auto hidden = build::attribute_files(
      trees, [&layers](const std::string& path, std::size_t layer) { layers[path] = layer; });
  const Occupied on_disk = TRY(occupied.get());
  TRY(owners);
  TRY(hidden);

  ImageSize size;
  size.image = image.reference();
  size.used = Bytes{static_cast<std::uint64_t>(TRY(integer_at(image.details, "disk_used_bytes")))};
  size.steps = steps_of(TRY(line_of(session, image)), parts.layers);
  for (const build::HiddenFiles& files : *hidden) {
    size.steps.at(files.layer).hidden = files.size;
  }
  size.tables = Bytes{on_disk.tables};
  size.boot = Bytes{on_disk.boot};
  Accounts(on_disk, *owners, layers).settle(size);
  if (size.measured != size.used) {
    return Error{ErrorKind::corrupt,
                 "the layers of " + image.reference() + " fill " + to_text(size.measured) +
                     " of a disk, not the recorded " + to_text(size.used),
                 "a layer was changed, or this goldmill writes disks in another way: build again"};
  }
  return size;
}

}  // namespace goldmill::factory
