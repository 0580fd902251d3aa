// SPDX-License-Identifier: GPL-3.0-or-later
#include "domain_xml.hpp"

#include <goldmill/base/xml.hpp>
#include <goldmill/machine/machine.hpp>

namespace goldmill::launch {

namespace {

std::string escaped(const std::string& text) {
  return xml_escaped(text, '\'');
}

std::string interface_xml(const Record& record) {
  const std::string name = escaped(record.network.name);
  std::string source;
  std::string type = "user";
  if (record.network.kind == Network::Kind::bridge) {
    type = "bridge";
    source = "<source bridge='" + name + "'/>";
  } else if (record.network.kind == Network::Kind::network) {
    type = "network";
    source = "<source network='" + name + "'/>";
  }
  return "    <interface type='" + type + "'>" + source + "<mac address='" + record.mac +
         "'/><model type='virtio'/></interface>\n";
}

std::string processor_xml(const std::string& type) {
  if (type != "qemu") {
    return "  <cpu mode='host-passthrough'/>\n";
  }
  std::string features;
  for (const char* name : machine::kCostlyFeatures) {
    features += std::string("<feature policy='disable' name='") + name + "'/>";
  }
  return "  <cpu mode='maximum'>" + features + "</cpu>\n";
}
}  // namespace

std::string domain_xml(const Record& record, const std::string& disk, const std::string& type) {
  return "<domain type='" + type + "'>\n  <name>" + escaped(record.instance.name) +
         "</name>\n  <uuid>" + record.domain + "</uuid>\n  <title>" +
         escaped(record.instance.image) + " by goldmill</title>\n  <memory unit='b'>" +
         std::to_string(record.memory.value) + "</memory>\n  <vcpu>" + std::to_string(record.cpus) +
         "</vcpu>\n  <os" + (record.uefi ? " firmware='efi'" : "") +
         "><type arch='x86_64' machine='q35'>hvm</type></os>\n"
         "  <features><acpi/></features>\n" +
         processor_xml(type) +
         "  <on_reboot>restart</on_reboot>\n  <devices>\n"
         "    <disk type='file' device='disk'>"
         "<driver name='qemu' type='qcow2' discard='unmap'/><source file='" +
         escaped(disk) + "'/><target dev='vda' bus='virtio'/></disk>\n" + interface_xml(record) +
         "    <channel type='unix'><target type='virtio' name='" +
         std::string(machine::kAgentPort) +
         "'/></channel>\n"
         "    <serial type='pty'><target port='0'/></serial>\n"
         "    <console type='pty'><target type='serial' port='0'/></console>\n"
         "    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>\n"
         "  </devices>\n</domain>\n";
}

std::string pool_xml(const std::string& name) {
  return "<pool type='dir'><name>" + escaped(name) +
         "</name><target><path>/var/lib/libvirt/images/" + escaped(name) +
         "</path></target></pool>";
}

std::string plain_volume_xml(const std::string& name, Bytes size) {
  return "<volume><name>" + escaped(name) + "</name><capacity unit='bytes'>" +
         std::to_string(size.value) + "</capacity><target><format type='raw'/></target></volume>";
}

std::string overlay_volume_xml(const std::string& name,
                               Bytes size,
                               const std::string& below,
                               const std::string& format) {
  return "<volume><name>" + escaped(name) + "</name><capacity unit='bytes'>" +
         std::to_string(size.value) +
         "</capacity><target><format type='qcow2'/></target><backingStore><path>" + escaped(below) +
         "</path><format type='" + format + "'/></backingStore></volume>";
}

}  // namespace goldmill::launch
