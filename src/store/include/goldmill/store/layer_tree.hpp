// SPDX-License-Identifier: GPL-3.0-or-later
// A layer on disk, as overlays mount it, to and from its canonical tar (OCI image spec, layer.md).
// Whiteouts: character device 0:0 <-> ".wh.NAME"; opaque directories: the extended attribute
// user.overlay.opaque=y <-> ".wh..wh..opq". Device nodes, which no user namespace can make, are
// empty files with user.goldmill.node = "c MAJOR MINOR" (or b) on disk, real entries in the tar. A
// file that several layers share on disk, each by one name, says user.goldmill.shared there.
// All functions must run as the guest's root (Confinement::guest_ids): ids are the guest's.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <goldmill/base/digest.hpp>
#include <goldmill/store/tar.hpp>

namespace goldmill::store {

inline constexpr const char* kNodeAttribute = "user.goldmill.node";
inline constexpr const char* kSharedAttribute = "user.goldmill.shared";
inline constexpr const char* kOpaqueAttribute = "user.overlay.opaque";

struct LayerFacts {
  Digest diff_id;
  std::uint64_t size = 0;     ///< of the tar, in bytes
  std::uint64_t entries = 0;  ///< of the tar, whiteouts too
};

/// Writes the tree of the directory descriptor. Times are cut to seconds and to `epoch` at most.
/// The root itself is no entry: it is 0755, owned by root. Sockets are left out.
/// Errors: invalid_input for a name that a layer cannot hold (".wh." in front, too long).
Result<LayerFacts> write_layer(int tree, std::int64_t epoch, const Sink& sink);

enum class Compression { zstd, gzip };  // what OCI layers are compressed with

struct PackedLayer {
  LayerFacts facts;        ///< of the tar
  Digest blob;             ///< of the compressed tar
  std::uint64_t size = 0;  ///< of it, in bytes
};

/// Writes the tree's canonical tar, compressed, to a descriptor. The tree must be a stored layer:
/// its times were cut to an epoch already. The same tar may be other bytes with another version
/// of the compressor. Errors: those of write_layer(), no_space.
Result<PackedLayer> pack_layer(int tree, Compression compression, int output);

/// Fills the empty directory `tree` from a tar that may be compressed. Nothing is ever written
/// outside of it, whatever the archive says. Gives the facts of the tar that was inside.
/// Errors: invalid_input (entries that no layer has), corrupt.
Result<LayerFacts> read_layer(int archive, int tree);

/// Extended attributes that belong to a layer (not the overlay's own, not the machine's labels).
Result<std::map<std::string, std::string>> layer_attributes(int directory, const std::string& name);

}  // namespace goldmill::store
