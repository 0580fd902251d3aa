// SPDX-License-Identifier: GPL-3.0-or-later
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goldmill/image/disk.hpp>
#include <goldmill/image/ext4.hpp>
#include <goldmill/image/fat.hpp>
#include <goldmill/image/gpt.hpp>
#include <goldmill/image/grub_config.hpp>
#include <goldmill/system/file.hpp>

#include "region.hpp"

namespace goldmill::image {

using recipe::Firmware;
using system::UniqueFd;

Json DiskRequest::to_json() const {
  return {{"layout", layout.to_json()},
          {"seed", seed.text()},
          {"lineage", lineage.text()},
          {"epoch", epoch},
          {"layers", layers}};
}

Result<DiskRequest> DiskRequest::from_json(const Json& json) {
  DiskRequest request;
  const Json* layout = find_value(json, "layout");
  if (layout == nullptr) {
    return Error{ErrorKind::invalid_input, "the request has no layout"};
  }
  request.layout = TRY(Layout::from_json(*layout));
  request.seed = TRY(Digest::parse(TRY(string_at(json, "seed"))));
  request.lineage = TRY(Digest::parse(TRY(string_at(json, "lineage"))));
  request.epoch = TRY(integer_at(json, "epoch"));
  request.layers = static_cast<std::size_t>(TRY(integer_at(json, "layers")));
  return request;
}

namespace {
constexpr Bytes kLargestAsset = 16_MiB;

/// nullopt when there is no such file. The directory was filled by a guest: no links.
Result<std::optional<std::string>> find_asset(int assets, const char* name) {
  const UniqueFd file(::openat(assets, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) {
      return std::optional<std::string>{};
    }
    return system_error(std::string("cannot open the boot loader's ") + name, errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error{ErrorKind::invalid_input, std::string(name) + " is not a regular file"};
  }
  return std::optional<std::string>(TRY(system::read_all(file.get(), kLargestAsset).context(name)));
}

Result<std::string> asset_at(int assets, const char* name) {
  auto content = TRY(find_asset(assets, name));
  if (!content) {
    return Error{ErrorKind::not_found,
                 std::string("the boot loader's ") + name + " is missing",
                 "the step that prepares the boot loader did not make it"};
  }
  return *std::move(content);
}

/// The name that firmware starts when nothing else is registered, and its parts beside it.
struct EfiNames {
  std::string boot;
  std::string grub;
  std::string mok;
};

EfiNames efi_names(const std::string& architecture) {
  if (architecture == "arm64") {
    return {"BOOTAA64.EFI", "grubaa64.efi", "mmaa64.efi"};
  }
  return {"BOOTX64.EFI", "grubx64.efi", "mmx64.efi"};
}

Result<std::vector<FatFile>> esp_files(const Layout& layout, int assets) {
  std::vector<FatFile> files = {
      {grub_directory(layout.os_family) + "/grub.cfg", grub_config(layout)}};
  if (!layout.has(Firmware::uefi)) {
    return files;
  }
  const EfiNames names = efi_names(layout.architecture);
  auto shim = TRY(find_asset(assets, kShim));
  if (!shim) {
    std::string plain = TRY(asset_at(assets, kPlainGrub));
    files.push_back({"EFI/BOOT/" + names.boot, std::move(plain)});
    return files;
  }
  std::string grub = TRY(asset_at(assets, kSignedGrub));
  files.push_back({"EFI/BOOT/" + names.boot, *std::move(shim)});
  files.push_back({"EFI/BOOT/" + names.grub, std::move(grub)});
  if (auto mok = TRY(find_asset(assets, kMokManager))) {
    files.push_back({"EFI/BOOT/" + names.mok, *std::move(mok)});
  }
  return files;
}

/// struct swap_header_v1_2 (util-linux, include/swapheader.h): one page, version 1.
Result<void> write_swap(int disk, const LayoutPartition& partition, const Uuid& uuid) {
  constexpr std::size_t kPageSize = 4096;
  std::string page(kPageSize, '\0');
  const std::uint32_t version = 1;
  const auto last = static_cast<std::uint32_t>(partition.size / kPageSize - 1);
  std::memcpy(page.data() + 1024, &version, sizeof version);
  std::memcpy(page.data() + 1028, &last, sizeof last);
  std::memcpy(page.data() + 1036, uuid.bytes.data(), uuid.bytes.size());
  std::memcpy(page.data() + 1052,
              partition.label.data(),
              std::min<std::size_t>(partition.label.size(), 16));
  page.replace(kPageSize - 10, 10, "SWAPSPACE2");
  return write_at(disk, partition.offset, page);
}

class Writer {
 public:
  Writer(const DiskRequest& request, const DiskHands& hands)
      : request_(request),
        layout_(request.layout),
        hands_(hands),
        identity_(request.seed),
        lineage_(request.lineage) {}

  Result<void> prepare() const {
    if (::ftruncate(hands_.disk, 0) != 0 ||
        ::ftruncate(hands_.disk, static_cast<off_t>(layout_.size)) != 0) {
      return system_error("cannot size the disk", errno);
    }
    TRY(write_partition_table(hands_.disk, layout_, identity_));
    if (starts_by_bios()) {
      const std::string boot = TRY(asset_at(hands_.assets, kBootImage));
      const std::string core = TRY(asset_at(hands_.assets, kCoreImage));
      TRY(write_bios_boot(hands_.disk, layout_, boot, core));
    }
    return {};
  }

  /// Used bytes of its file system, where that is known.
  Result<Ext4Usage> write(const LayoutPartition& partition) const {
    if (partition.role == Role::bios_boot) {
      return Ext4Usage{};
    }
    const std::string role = "file system " + std::to_string(layout_.number_of(partition));
    if (partition.filesystem == "ext4") {
      return write_ext4(hands_.disk, ext4_options(partition, role), source_of(partition));
    }
    if (partition.filesystem == "swap") {
      TRY(write_swap(hands_.disk, partition, lineage_.uuid(role)));
      return Ext4Usage{};
    }
    if (partition.filesystem == "vfat") {
      return write_vfat(partition, role);
    }
    return Error{ErrorKind::invalid_input,
                 "no file system '" + partition.filesystem + "' can be made"};
  }

  /// What write() would make of an ext4 partition.
  Result<Ext4Measure> measure(const LayoutPartition& partition) const {
    const std::string role = "file system " + std::to_string(layout_.number_of(partition));
    return measure_ext4(ext4_options(partition, role), source_of(partition));
  }

  /// Bytes of what firmware starts: in the EFI system partition, and GRUB's images for BIOS.
  Result<std::uint64_t> measure_boot() const {
    std::uint64_t bytes = 0;
    for (const FatFile& file : TRY(esp_files(layout_, hands_.assets))) {
      bytes += file.content.size();
    }
    if (starts_by_bios()) {
      bytes += TRY(asset_at(hands_.assets, kBootImage)).size();
      bytes += TRY(asset_at(hands_.assets, kCoreImage)).size();
    }
    return bytes;
  }

 private:
  bool starts_by_bios() const {
    return layout_.has(Firmware::bios) && layout_.architecture == "amd64";
  }

  Result<Ext4Usage> write_vfat(const LayoutPartition& partition, const std::string& role) const {
    const FatOptions options{
        partition.offset, partition.size, partition.label, lineage_.serial(role), request_.epoch};
    std::vector<FatFile> files;
    if (partition.role == Role::esp) {
      files = TRY(esp_files(layout_, hands_.assets));
    }
    TRY(write_fat(hands_.disk, options, files));
    return Ext4Usage{};
  }

  Ext4Options ext4_options(const LayoutPartition& partition, const std::string& role) const {
    Ext4Options options;
    options.offset = partition.offset;
    options.size = partition.size;
    options.label = partition.label;
    options.uuid = lineage_.uuid(role);
    options.hash_seed = lineage_.uuid(role + " hash seed");
    options.epoch = request_.epoch;
    options.features = ext4_features();
    return options;
  }

  /// What the layers have below its mount point, without what lies on other partitions.
  TreeSource source_of(const LayoutPartition& partition) const {
    TreeSource source{hands_.layers, partition.mount.substr(1), {}};
    const std::string prefix = partition.mount == "/" ? "/" : partition.mount + "/";
    for (const LayoutPartition& other : layout_.partitions) {
      if (&other != &partition && other.mount.starts_with(prefix)) {
        source.hollow.push_back(other.mount.substr(prefix.size()));
      }
    }
    return source;
  }

  const DiskRequest& request_;
  const Layout& layout_;
  DiskHands hands_;
  Identity identity_;
  Identity lineage_;
};
}  // namespace

Result<Json> write_disk(const DiskRequest& request,
                        const DiskHands& hands,
                        const std::function<void(std::string_view)>& on_phase) {
  const Writer writer(request, hands);
  TRY(writer.prepare());
  Json list = Json::array();
  Ext4Usage total;
  for (const LayoutPartition& partition : request.layout.partitions) {
    if (on_phase) {
      on_phase(partition.name);
    }
    const Ext4Usage usage =
        TRY(writer.write(partition).context("while writing partition '" + partition.name + "'"));
    total.used_bytes += usage.used_bytes;
    total.free_bytes += usage.free_bytes;
    total.files += usage.files;
    list.push_back({{"name", partition.name},
                    {"filesystem", partition.filesystem},
                    {"mount", partition.mount},
                    {"offset", partition.offset},
                    {"size", partition.size},
                    {"used_bytes", usage.used_bytes}});
  }
  return Json{{"used_bytes", total.used_bytes},
              {"free_bytes", total.free_bytes},
              {"files", total.files},
              {"partitions", list}};
}

namespace {
/// Layers are the hands from `first` on.
std::vector<int> layer_hands(const system::WorkerContext& context,
                             std::size_t first,
                             std::size_t count) {
  std::vector<int> layers;
  for (std::size_t layer = 0; layer < count; ++layer) {
    layers.push_back(context.hand(first + layer));
  }
  return layers;
}
}  // namespace

Result<Json> disk_worker(system::WorkerContext& context) {
  const DiskRequest request = TRY(DiskRequest::from_json(context.request()));
  return write_disk(request,
                    {.disk = context.hand(0),
                     .assets = context.hand(1),
                     .layers = layer_hands(context, 2, request.layers)},
                    [&](std::string_view phase) {
                      context.send_event({{"phase", phase}});
                    });
}

namespace {
void send_shares(system::WorkerContext& context,
                 const std::string& mount,
                 const std::vector<Ext4Share>& shares) {
  constexpr std::size_t kTogether = 1000;
  const std::string prefix = mount == "/" ? "" : mount;
  Json files = Json::array();
  for (const Ext4Share& share : shares) {
    files.push_back({share.path.empty() ? mount : prefix + "/" + share.path, share.bytes});
    if (files.size() == kTogether) {
      context.send_event({{"files", std::exchange(files, Json::array())}});
    }
  }
  context.send_event({{"files", files}});
}
}  // namespace

Result<Json> measure_worker(system::WorkerContext& context) {
  const DiskRequest request = TRY(DiskRequest::from_json(context.request()));
  const Writer writer(
      request, {.assets = context.hand(0), .layers = layer_hands(context, 1, request.layers)});
  std::uint64_t used = 0;
  std::uint64_t tables = 0;
  for (const LayoutPartition& partition : request.layout.partitions) {
    if (partition.filesystem == "ext4") {
      const Ext4Measure measure =
          TRY(writer.measure(partition).context("while measuring '" + partition.name + "'"));
      used += measure.usage.used_bytes;
      tables += measure.table_bytes;
      send_shares(context, partition.mount, measure.shares);
    }
  }
  const std::uint64_t boot = TRY(writer.measure_boot());
  return Json{{"used_bytes", used}, {"table_bytes", tables}, {"boot_bytes", boot}};
}

}  // namespace goldmill::image
