// SPDX-License-Identifier: GPL-3.0-or-later
// What can be done with a finished image: test, export, launch, explain, remove.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <goldmill/base/json.hpp>
#include <goldmill/base/result.hpp>
#include <goldmill/factory/session.hpp>
#include <goldmill/launch/launch.hpp>
#include <goldmill/prove/prove.hpp>

namespace goldmill::factory {

struct TestRequest {
  std::string image;
  std::vector<machine::Firmware> firmwares = {};  ///< none: those that its recipe promises
  std::vector<machine::Controller> controllers = {machine::Controller::virtio};
};

/// Boots the image and checks what its recipe promises. The report is kept with the version, with
/// "firmwares", and so is for each firmware how the last test by it ended. In the dossiers
/// "serial_log" and "screenshot" are the files that stay, "" for none.
Result<prove::Report> test_image(Session& session,
                                 const TestRequest& request,
                                 const prove::Progress& progress);

struct ExportRequest {
  std::string image;
  std::string format;
  std::filesystem::path output;
  std::map<std::string, std::string> options;
};

/// Assembles the disk from its layers again, checks it against the recorded digest, and writes
/// it in the format. Errors: corrupt when the layers no longer give the recorded disk.
Result<void> export_image(Session& session, const ExportRequest& request);

/// `request.image` names the image; disk, kernel and recipe users are filled in.
Result<launch::Fleet> launch_image(Session& session,
                                   launch::LaunchRequest request,
                                   const launch::Progress& progress);

/// Makes the snapshot that warm launches of `request.image` go on from, or checks the one there.
Result<launch::Warmth> warm_image(Session& session, launch::LaunchRequest request);

/// One image as shown by `list`. "tested": true when the last tests by all firmwares that it
/// promises passed, false when one did not, null before.
Json describe_image(Session& session, const store::ImageRecord& image);

/// The same and its story, for `show`: {"lineage": ["java@1", "base@1"], "all_steps": [as "steps",
/// from the base on, with "image" and "bytes"], "own_packages": [those that the parent has not in
/// the same version], "layer_bytes", "shared_bytes" (of the parent's layers)}. Reads the sizes of
/// layers; one that is gone has none.
Result<Json> tell_image(Session& session, const store::ImageRecord& image);

/// What Puppet and Ansible did while the image was built, from the base on, for `show --reports`;
/// of one `tool` only unless it is "". {"image", "reports": [{"image", "step", "tool", "version",
/// "resources": [{"resource", "file", "line", "status", "events"}], "messages": [{"level",
/// "message", "file", "line"}], "services"}]}.
Result<Json> tell_reports(Session& session, const store::ImageRecord& image, std::string_view tool);

/// Whether instances whose time is over hold an image.
enum class Overdue : std::uint8_t { holds, goes };
/// Errors: conflict, naming what stands on the image, launches it or is linked to it; children that
/// are `gone` do not count. To be asked in the transaction that removes it.
Result<void> check_removable(Session& session,
                             const store::ImageName& image,
                             const std::set<Digest>& gone = {},
                             Overdue overdue = Overdue::holds);
/// Instances whose time is over hold no image any more. One that cannot be removed stays.
void remove_overdue(Session& session);
/// Removes an image version that nothing needs, also one whose row in the catalogue is damaged; gc
/// frees its layers. Errors: not_found; as check_removable().
Result<void> remove_image(Session& session, const store::ImageReference& version);

}  // namespace goldmill::factory
