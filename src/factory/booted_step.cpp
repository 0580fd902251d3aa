// SPDX-License-Identifier: GPL-3.0-or-later
#include "booted_step.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>

#include <goldmill/build/overlay_sandbox.hpp>
#include <goldmill/image/disk.hpp>
#include <goldmill/image/guest_changes.hpp>
#include <goldmill/machine/accelerator.hpp>
#include <goldmill/machine/dossier.hpp>
#include <goldmill/system/worker.hpp>

namespace goldmill::factory {

namespace fs = std::filesystem;

namespace {
constexpr Bytes kMemory = 1_GiB;
constexpr Bytes kRoom = 4_GiB;           // on the guest's disk, for what the step brings
constexpr Bytes kDirectoryDisk = 4_GiB;  // a file with holes: only what is in it takes space
constexpr std::chrono::minutes kPatience{15};
constexpr std::chrono::minutes kLongestEnd{5};

/// What is in these belongs to the boot: the seal would remove it again.
constexpr std::array kOfTheBoot = {"run/", "tmp/", "var/tmp/", "var/log/journal/"};

/// The kernel that an instance starts, and an initramfs for it: the image's own when it has one
/// already, since that of a base is made after its steps.
constexpr const char* kFindKernel = R"sh(
for place in "" /boot; do
  [ -e $place/vmlinuz ] && break
done
kernel=$(readlink -f $place/vmlinuz) && [ -e "$kernel" ] || exit 44
cat "$kernel" > /run/goldmill/boot/kernel
if [ -e $place/initrd.img ]; then
  cat $place/initrd.img > /run/goldmill/boot/initrd
else
  mkinitramfs -o /run/goldmill/boot/initrd "${kernel##*/vmlinuz-}"
fi
chmod 0644 /run/goldmill/boot/*
)sh";

/// The image's layout for a guest that QEMU starts by its kernel: nothing for firmware, and room.
image::Layout with_room(image::Layout layout) {
  GOLDMILL_ASSERT(!layout.partitions.empty() && layout.partitions.back().role == image::Role::root);
  layout.firmware.clear();
  layout.size += kRoom.value;
  layout.partitions.back().size += kRoom.value;
  return layout;
}

/// A disk that holds one directory.
image::Layout for_directory(image::Layout layout) {
  constexpr std::uint64_t kEnds = 1U << 20;  // for the partition tables
  layout.firmware.clear();
  layout.size = kDirectoryDisk.value;
  layout.partitions = {{.role = image::Role::root,
                        .name = "directory",
                        .filesystem = "ext4",
                        .mount = "/",
                        .label = "directory",
                        .offset = kEnds,
                        .size = kDirectoryDisk.value - 2 * kEnds}};
  return layout;
}

machine::Controller controller_for(const image::Layout& layout) {
  using recipe::Hardware;
  if (layout.has(Hardware::virtio) || layout.hardware.empty()) {
    return machine::Controller::virtio;
  }
  return layout.has(Hardware::nvme) ? machine::Controller::nvme : machine::Controller::pvscsi;
}

std::string command_line(const image::Layout& layout) {
  std::string line = "root=LABEL=" + layout.partitions.back().label +
                     " ro console=ttyS0,115200 no_timer_check mitigations=off " +
                     GuestTalk::kernel_options();
  for (const std::string& option : layout.kernel_options) {
    line += " " + option;
  }
  return line;
}

}  // namespace

void BootedStep::show(std::string_view phase) {
  if (request_.progress.show) {
    request_.progress.show(phase, 0, 0);
  }
}

Result<std::string> BootedStep::capture(const plan::Execution& execution) {
  if (!talk_) {
    TRY(boot(execution));
  }
  const auto limit = session_.limits.time;
  auto answer = talk_->capture(execution, directories_, limit);
  if (!answer && answer.error().kind == ErrorKind::unavailable) {
    return failure(std::move(answer).error());
  }
  return answer;
}

Result<void> BootedStep::check_possible(const image::Layout& layout) {
  if (layout.architecture != "amd64") {
    return Error{ErrorKind::unavailable,
                 "an image for " + layout.architecture + " cannot be booted here",
                 "without 'booted: true' the step works on the files of the image"};
  }
  return machine::check_qemu();
}

Result<void> BootedStep::boot(const plan::Execution& first) {
  work_.emplace(TRY(build::WorkDirectory::make(session_.home.root())));
  room_ = work_->path() / "guest";
  TRY(system::make_directories(room_, 0700));
  layout_ = with_room(request_.layout);
  show("kernel");
  TRY(find_kernel().context("while looking for a kernel to boot"));
  show("disk");
  TRY(write_disk(layout_, TRY(guest_trees()), room_ / "disk.raw"));
  files_.push_back(TRY(system::open_file(room_ / "disk.raw", O_RDWR)));
  TRY(write_directories(first));
  show("boot");
  auto started = start();
  return started ? std::move(started) : failure(std::move(started).error());
}

/// Into room_: the sandbox's programs read what is not ours to open.
Result<void> BootedStep::find_kernel() {
  const fs::path place = work_->path() / "output";
  TRY(system::make_directories(place));
  if (::chmod(place.c_str(), 0777) != 0) {  // guest ids write here
    return system_error("cannot open up " + place.string(), errno);
  }
  const system::UniqueFd directory = TRY(system::open_directory(place));
  auto found = request_.sandbox.run({.argv = {"/bin/sh", "-ec", kFindKernel},
                                     .binds = {{directory.get(), "/run/goldmill/boot", true}},
                                     .real_initramfs = true});
  if (!found && found.error().text().find("status 44") != std::string::npos) {
    return Error{ErrorKind::invalid_input,
                 "the image has no kernel",
                 "'booted: true' needs one: build on a base of goldmill's"};
  }
  return found;
}

/// The layers, and on top of them what starts our script there.
Result<std::vector<fs::path>> BootedStep::guest_trees() {
  std::vector<fs::path> trees = request_.layers;
  std::error_code ignored;
  if (fs::is_directory(request_.upper, ignored)) {
    trees.push_back(request_.upper);
  }
  build::OverlaySandbox top(
      {.layers = trees, .work = work_->path(), .epoch = request_.sandbox.epoch()});
  Json files = Json::array();
  std::string contents;
  for (const GuestFile& file : GuestTalk::files()) {
    contents += file.content;
    const Json entry = {{"path", ""},
                        {"type", "file"},
                        {"executable", false},
                        {"size", file.content.size()},
                        {"link", ""}};
    files.push_back({{"target", file.path},
                     {"mode", 0644},
                     {"owner", "0"},
                     {"group", "0"},
                     {"entries", Json::array({entry})}});
  }
  const system::UniqueFd content = TRY(system::memory_file(contents, 0600));
  TRY(top.call("provision.files",
               {{"epoch", request_.sandbox.epoch()}, {"files", std::move(files)}},
               {content.get()},
               {}));
  trees.push_back(work_->path() / "upper");
  return trees;
}

Result<void> BootedStep::write_disk(const image::Layout& layout,
                                    const std::vector<fs::path>& trees,
                                    const fs::path& file) {
  const system::UniqueFd disk = TRY(system::open_file(file, O_RDWR | O_CREAT | O_EXCL, 0600));
  const system::UniqueFd no_assets = TRY(system::open_directory(room_));
  std::vector<int> hands = {disk.get(), no_assets.get()};
  std::vector<system::UniqueFd> opened;
  for (const fs::path& tree : trees) {
    opened.push_back(TRY(system::open_file(tree, O_PATH | O_DIRECTORY)));
    hands.push_back(opened.back().get());
  }
  const Digest seed = sha256(file.filename().string());
  const std::int64_t epoch = std::max<std::int64_t>(request_.sandbox.epoch(), 1);
  const image::DiskRequest request{layout, seed, seed, epoch, trees.size()};
  TRY(system::run_worker({.name = "disk",
                          .request = request.to_json(),
                          .confinement = system::Confinement::sandbox,
                          .hands = hands,
                          .is_cancelled = [this] { return session_.observer.is_cancelled(); }})
          .context("while making the disk to boot"));
  return {};
}

/// A disk for each directory that the first program is shown.
Result<void> BootedStep::write_directories(const plan::Execution& first) {
  for (const plan::Bind& bind : first.binds) {
    struct stat status {};
    if (::fstat(bind.source, &status) != 0 || !S_ISDIR(status.st_mode)) {
      continue;
    }
    const fs::path file = room_ / ("directory" + std::to_string(directories_.size()) + ".raw");
    const fs::path source = "/proc/self/fd/" + std::to_string(bind.source);
    TRY(write_disk(for_directory(layout_), {source}, file).context(bind.target));
    files_.push_back(TRY(system::open_file(file, O_RDONLY)));  // QEMU takes it as it was opened
    directories_.push_back(bind.target);
  }
  return {};
}

Result<machine::MachineSpec> BootedStep::machine_spec() {
  const fs::path boot = work_->path() / "output";
  const auto choice =
      TRY(machine::choose_accelerator(session_.home.root(), {boot / "kernel", {}, {}}));
  request_.progress.log("booting the image: " + choice.reason);
  machine::MachineSpec spec;
  spec.name = "step";
  spec.accelerator = choice.kind;
  spec.memory = kMemory;
  spec.cpus = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 2U));
  spec.display = false;
  spec.agent = false;  // with nobody on its port it would wait for half a minute
  spec.directory = room_;
  spec.ports = GuestTalk::ports();
  spec.disk = machine::DiskSpec{
      .file = files_.front().get(), .format = "raw", .controller = controller_for(layout_)};
  for (std::size_t index = 1; index < files_.size(); ++index) {
    spec.more_disks.push_back(files_[index].get());
  }
  machine::KernelSpec kernel;
  for (const auto& [name, number] :
       {std::pair{"kernel", &kernel.kernel}, {"initrd", &kernel.initrd}}) {
    files_.push_back(TRY(system::open_file(boot / name, O_RDONLY)));
    *number = files_.back().get();
  }
  kernel.command_line = command_line(layout_);
  spec.kernel = std::move(kernel);
  return spec;
}

Result<void> BootedStep::start() {
  const machine::MachineSpec spec = TRY(machine_spec());
  machine_.emplace(TRY(machine::Machine::start(spec)));
  if (!machine_->warning().empty()) {
    request_.progress.log(machine_->warning());
  }
  watch_.emplace(room_);
  GuestTalk talk = TRY(
      GuestTalk::connect(room_, {request_.progress.log, [this] { return reason_to_give_up(); }}));
  const std::string state = TRY(talk.await_up(kPatience));
  watch_.reset();
  request_.progress.log("the image is up: " + state);
  show("run");
  talk_.emplace(std::move(talk));
  return {};
}

std::optional<Error> BootedStep::reason_to_give_up() {
  if (session_.observer.is_cancelled()) {
    return Error{ErrorKind::cancelled, "cancelled"};
  }
  if (machine_->poll()) {
    return Error{ErrorKind::unavailable, "the booted system has ended"};
  }
  return watch_ ? watch_->pointless() : std::nullopt;
}

/// With what the machine left behind.
Error BootedStep::failure(Error error) {
  if (error.kind == ErrorKind::cancelled && session_.observer.is_cancelled()) {
    return error;
  }
  const machine::Dossier dossier = machine::collect_dossier(room_, "");
  for (const std::string& line : dossier.serial_tail) {
    request_.progress.log("console: " + line);
  }
  machine_.reset();
  error.kind = ErrorKind::tool_failed;
  error.message += ": " + dossier.likely_cause;
  return error;
}

Result<void> BootedStep::close() {
  if (!talk_) {
    return {};
  }
  show("power off");
  TRY(talk_->power_off());
  const auto end = std::chrono::steady_clock::now() + kLongestEnd;
  while (!machine_->wait(std::chrono::milliseconds(200))) {
    if (session_.observer.is_cancelled()) {
      return Error{ErrorKind::cancelled, "cancelled"};
    }
    if (std::chrono::steady_clock::now() > end) {
      return failure({ErrorKind::tool_failed, "the booted image does not shut down"});
    }
  }
  talk_.reset();
  machine_.reset();
  show("changes");
  Json left = Json::array();
  for (const char* directory : kOfTheBoot) {
    left.push_back(directory);
  }
  for (const GuestFile& file : GuestTalk::files()) {
    left.push_back(file.path.substr(1));
  }
  const system::UniqueFd disk = TRY(system::open_file(room_ / "disk.raw", O_RDONLY));
  TRY(request_.sandbox
          .call(image::kChangesWorker,
                {{"layout", layout_.to_json()}, {"left", std::move(left)}},
                {disk.get()},
                {})
          .context("while reading what changed on the guest's disk"));
  files_.clear();
  work_.reset();
  return {};
}

}  // namespace goldmill::factory
