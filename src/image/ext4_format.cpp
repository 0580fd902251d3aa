// SPDX-License-Identifier: GPL-3.0-or-later
#include "ext4_format.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include <e2p/e2p.h>  // the header does not say that it is C
}
#include <et/com_err.h>

namespace goldmill::image {

namespace {
constexpr std::uint64_t kBytesPerInode = 16384;  // mke2fs's default
constexpr std::uint32_t kInodeSize = 256;
// Descriptors are reserved so that a root file system of any size grows online at least to here.
constexpr std::uint64_t kGrowsTo = 1ULL << 40;
constexpr std::uint64_t kGrowthFactor = 16;

Result<void> set_features(ext2_super_block& super, const std::vector<std::string>& features) {
  for (const std::string& feature : features) {
    int type = 0;
    unsigned int mask = 0;
    std::string text = feature;
    if (e2p_string2feature(text.data(), &type, &mask) != 0) {
      return Error{ErrorKind::invalid_input, "ext4 has no feature '" + feature + "'"};
    }
    if (type == E2P_FEATURE_COMPAT) {
      super.s_feature_compat |= mask;
    } else if (type == E2P_FEATURE_INCOMPAT) {
      super.s_feature_incompat |= mask;
    } else {
      super.s_feature_ro_compat |= mask;
    }
  }
  // Made by ext2fs_add_journal_inode3, which wants the flag clear before.
  super.s_feature_compat &= ~static_cast<unsigned>(EXT3_FEATURE_COMPAT_HAS_JOURNAL);
  return {};
}

/// Blocks for the descriptors of a file system of kGrowsTo bytes, or 16 times the size.
std::uint16_t reserved_descriptor_blocks(std::uint64_t size) {
  const std::uint64_t target = std::max(kGrowsTo, size * kGrowthFactor);
  const std::uint64_t group = std::uint64_t{8} * kExt4Block * kExt4Block;
  const std::uint64_t per_block = kExt4Block / EXT2_MIN_DESC_SIZE_64BIT;
  const std::uint64_t now = (size + group * per_block - 1) / (group * per_block);
  const std::uint64_t then = (target + group * per_block - 1) / (group * per_block);
  return static_cast<std::uint16_t>(std::min<std::uint64_t>(then - std::min(now, then), 1024));
}

Result<ext2_super_block> parameters(const Ext4Options& options, std::uint64_t files) {
  ext2_super_block super{};
  TRY(set_features(super, options.features));
  const std::uint64_t blocks = options.size / kExt4Block;
  super.s_log_block_size = 2;
  super.s_log_cluster_size = 2;
  super.s_rev_level = EXT2_DYNAMIC_REV;
  super.s_inode_size = kInodeSize;
  super.s_log_groups_per_flex = 4;
  super.s_errors = EXT2_ERRORS_CONTINUE;
  super.s_desc_size = EXT2_MIN_DESC_SIZE_64BIT;
  super.s_reserved_gdt_blocks = reserved_descriptor_blocks(options.size);
  // A quarter more than the tree has, so that a small disk full of small files still works.
  const std::uint64_t inodes = std::max(options.size / kBytesPerInode, files + files / 4 + 64);
  super.s_inodes_count = static_cast<std::uint32_t>(std::min<std::uint64_t>(inodes, 0xfffff000U));
  ext2fs_blocks_count_set(&super, blocks);
  ext2fs_r_blocks_count_set(&super, blocks * options.reserved_percent / 100);
  return super;
}

void set_identity(ext2_filsys filesystem, const Ext4Options& options, std::int64_t oldest) {
  ext2_super_block& super = *filesystem->super;
  const auto epoch = static_cast<std::uint32_t>(options.epoch);
  filesystem->now = oldest;  // what the library then writes as "now"
  super.s_mkfs_time = epoch;
  super.s_wtime = epoch;
  super.s_lastcheck = epoch;
  super.s_max_mnt_count = -1;
  super.s_checkinterval = 0;
  super.s_creator_os = EXT2_OS_LINUX;
  super.s_checksum_type = EXT2_CRC32C_CHKSUM;
  super.s_def_hash_version = EXT2_HASH_HALF_MD4;
  super.s_flags = EXT2_FLAGS_SIGNED_HASH;
  super.s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
  std::memcpy(super.s_uuid, options.uuid.bytes.data(), sizeof super.s_uuid);
  std::memcpy(super.s_hash_seed, options.hash_seed.bytes.data(), sizeof super.s_hash_seed);
  std::memset(super.s_volume_name, 0, sizeof super.s_volume_name);
  std::memcpy(super.s_volume_name,
              options.label.data(),
              std::min(options.label.size(), sizeof super.s_volume_name));
  ext2fs_init_csum_seed(filesystem);
}

/// Inodes 1 to 10 are in use whether or not they hold anything.
void reserve_inodes(ext2_filsys filesystem) {
  for (ext2_ino_t number = 1; number < EXT2_FIRST_INODE(filesystem->super); ++number) {
    ext2fs_inode_alloc_stats2(filesystem, number, +1, number == EXT2_ROOT_INO ? 1 : 0);
  }
}

/// The tables are holes, which read as zeros: no guest needs to clear them in the background.
void mark_tables_zeroed(ext2_filsys filesystem) {
  for (dgrp_t group = 0; group < filesystem->group_desc_count; ++group) {
    ext2fs_bg_flags_set(filesystem, group, EXT2_BG_INODE_ZEROED);
    ext2fs_group_desc_csum_set(filesystem, group);
  }
}
}  // namespace

Error ext2_error(const std::string& what, errcode_t code) {
  if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC) {
    return Error{ErrorKind::no_space, what + ": the file system is full"};
  }
  return Error{ErrorKind::tool_failed, what + ": " + ::error_message(code)};
}

Result<void> checked(errcode_t code, const char* what) {
  if (code != 0) {
    return ext2_error(what, code);
  }
  return {};
}

Result<Filesystem> format_ext4(Ext4Device& device,
                               const Ext4Options& options,
                               const Ext4Contents& contents) {
  ::initialize_ext2_error_table();
  ext2_super_block super = TRY(parameters(options, contents.files));
  ext2_filsys raw = nullptr;
  TRY(checked(ext2fs_initialize(
                  "disk", EXT2_FLAG_EXCLUSIVE | EXT2_FLAG_64BITS, &super, device.attach(), &raw),
              "cannot lay out the ext4 file system"));
  Filesystem filesystem(raw);
  set_identity(raw, options, contents.oldest);
  TRY(checked(ext2fs_allocate_tables(raw), "cannot place the ext4 tables"));
  mark_tables_zeroed(raw);
  reserve_inodes(raw);
  TRY(checked(ext2fs_update_bb_inode(raw, nullptr), "cannot write the bad-blocks inode"));
  if (ext2fs_has_feature_resize_inode(raw->super) != 0) {
    TRY(checked(ext2fs_create_resize_inode(raw), "cannot reserve room for growing"));
  }
  return filesystem;
}

Result<void> add_journal(ext2_filsys filesystem) {
  constexpr std::uint64_t kTooSmall = 2048;  // blocks; mke2fs makes no journal below, either
  if (ext2fs_blocks_count(filesystem->super) < kTooSmall) {
    return {};
  }
  ext2fs_journal_params size{};
  TRY(checked(ext2fs_get_journal_params(&size, filesystem), "cannot choose the journal's size"));
  TRY(checked(
      ext2fs_add_journal_inode3(
          filesystem, &size, filesystem->super->s_first_data_block, EXT2_MKJOURNAL_NO_MNT_CHECK),
      "cannot make the journal"));
  return {};
}

}  // namespace goldmill::image
