// SPDX-License-Identifier: GPL-3.0-or-later
// The documents that libvirt is given (formats: libvirt's formatdomain and formatstorage, 9.0).
#pragma once

#include <string>

#include <goldmill/base/bytes.hpp>

#include "record.hpp"

namespace goldmill::launch {

/// One instance's machine: its disk is `disk`, a path on its host; `type` is "kvm" or "qemu".
std::string domain_xml(const Record& record, const std::string& disk, const std::string& type);

/// A pool of files in /var/lib/libvirt/images/NAME.
std::string pool_xml(const std::string& name);

/// A file of this size, for bytes that come as they are.
std::string plain_volume_xml(const std::string& name, Bytes size);

/// An instance's disk, which holds what differs from `below`, a path on the host.
std::string overlay_volume_xml(const std::string& name,
                               Bytes size,
                               const std::string& below,
                               const std::string& format);

}  // namespace goldmill::launch
