// SPDX-License-Identifier: GPL-3.0-or-later
// `files`: copies files and directories into the image. Read here with the caller's rights,
// written by a worker as the guest's root.
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <goldmill/system/file.hpp>

#include "file_tree.hpp"
#include "file_writer.hpp"
#include "provisioner.hpp"

namespace goldmill::provision {

namespace {

/// A file without a name: on the disk of the cache, which holds more than memory does.
Result<system::UniqueFd> nameless_file(const std::filesystem::path& directory) {
  system::UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) {
    file = system::UniqueFd(::memfd_create("goldmill", MFD_CLOEXEC));
  }
  if (!file) {
    return system_error("cannot make a temporary file", errno);
  }
  return file;
}

std::string copy_name(const std::string& target) {
  return "source of " + target;
}

class Files final : public Provisioner {
 public:
  std::string_view name() const override { return "provision.files"; }
  int version() const override { return 1; }

  Result<plan::Step> make_step(const recipe::Recipe& /*recipe*/,
                               const recipe::ProvisionStep& entry) const override {
    const auto& files = std::get<recipe::FilesStep>(entry.action).files;
    plan::Step step;
    step.kind = name();
    step.kind_version = version();
    Json list = Json::array();
    for (const recipe::FileCopy& copy : files) {
      Json options = {{"target", copy.target},
                      {"mode", copy.mode},
                      {"owner", copy.owner},
                      {"group", copy.group}};
      if (copy.source.empty()) {
        options["content"] = copy.content;
      } else {
        TRY(give_input(step, copy_name(copy.target), copy.source, copy.target, files.size()));
      }
      list.push_back(std::move(options));
    }
    step.name = "files: " + files.at(0).target;
    if (files.size() > 1) {
      step.name += " (+" + std::to_string(files.size() - 1) + ")";
    }
    step.options = {{"files", std::move(list)}};
    return step;
  }

  Result<Json> run(const plan::Step& step, plan::StepContext& context) override {
    const system::UniqueFd contents = TRY(nameless_file(context.package_cache));
    Json request = {{"epoch", context.sandbox.epoch()}, {"files", step.options.at("files")}};
    Json& files = request["files"];
    std::uint64_t done = 0;
    for (Json& file : files) {
      if (context.progress.show) {
        context.progress.show("copy files", done++, files.size());
      }
      file["entries"] = TRY(pack(step, file, contents.get()));
      file.erase("content");
    }
    Json result =
        TRY(context.sandbox.call(kFileWriter, request, {contents.get()}, {}).context(step.name));
    if (context.progress.show) {
      context.progress.show("copy files", files.size(), files.size());
    }
    return result;
  }

 private:
  /// Puts the bytes of one copy behind the others'.
  static Result<Json> pack(const plan::Step& step, const Json& file, int contents) {
    if (const auto content = find_string(file, "content")) {
      TRY(system::write_all(contents, *content));
      return FileTree::of_content(*content).to_json();
    }
    const std::string name = copy_name(TRY(string_at(file, "target")));
    const auto source = step.sources.find(name);
    const auto digest = step.inputs.find(name);
    if (source == step.sources.end() || digest == step.inputs.end()) {
      return Error{ErrorKind::internal, "nothing says where the " + name + " is"};
    }
    return TRY(FileTree::read_again(source->second, contents, digest->second)).to_json();
  }
};

}  // namespace

std::unique_ptr<Provisioner> make_files() {
  return std::make_unique<Files>();
}

}  // namespace goldmill::provision
