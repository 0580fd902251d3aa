// SPDX-License-Identifier: GPL-3.0-or-later
// Writes one artifact by hand: export_tool DISK.raw FORMAT OUTPUT [NAME=VALUE...]. For
// measurements.
#include <iostream>

#include <goldmill/exporter/exporter.hpp>

int main(int argc, char** argv) {
  using goldmill::recipe::Hardware;
  if (argc < 4) {
    return 2;
  }
  goldmill::exporter::Export wanted;
  wanted.source.disk = argv[1];
  wanted.format = argv[2];
  wanted.output = argv[3];
  wanted.hardware = {Hardware::virtio, Hardware::nvme, Hardware::vmware, Hardware::hyperv};
  for (int i = 4; i < argc; ++i) {
    const std::string option = argv[i];
    wanted.options[option.substr(0, option.find('='))] = option.substr(option.find('=') + 1);
  }
  const auto done = goldmill::exporter::export_image(wanted);
  if (!done) {
    std::cerr << done.error().text() << '\n' << done.error().hint << '\n';
    return 1;
  }
  return 0;
}
