// SPDX-License-Identifier: GPL-3.0-or-later
// OutputFile: a file without a name until it is finished, so that no interruption, not even
// SIGKILL, leaves half of one.
#pragma once

#include <filesystem>
#include <string>

#include <goldmill/base/result.hpp>
#include <goldmill/system/file.hpp>

namespace goldmill::exporter {

class OutputFile {
 public:
  static Result<OutputFile> open(const std::filesystem::path& target);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  int descriptor() const { return file_.get(); }
  /// Makes it durable and gives it its name.
  Result<void> commit();

 private:
  OutputFile(std::filesystem::path target, std::string temporary, system::UniqueFd file)
      : target_(std::move(target)), temporary_(std::move(temporary)), file_(std::move(file)) {}
  Result<void> name_it();

  std::filesystem::path target_;
  std::string temporary_;  ///< its name until then, or "": it has none
  system::UniqueFd file_;
};

}  // namespace goldmill::exporter
