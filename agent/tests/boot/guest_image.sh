#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes a small disk for the agent's boot test out of a tree: GPT with root as its last
# partition, kernel and initramfs beside it (the test starts them directly).
# usage: guest_image.sh TREE OUT_DIRECTORY SIZE_MIB
set -eu
tree=$1 out=$2 size=$3
mkdir -p "$out"
raw=$out/disk.raw
rm -f "$raw"; truncate -s "${size}M" "$raw"
sgdisk -a 2048 -n 1:2048:4095 -t 1:ef02 -n 2:4096:0 "$raw" >/dev/null
sectors=$(( (size * 2048 - 34 - 4096) / 8 * 8 ))
mke2fs -q -t ext4 -L root -b 4096 -E offset=$((4096 * 512)),lazy_itable_init=1,nodiscard \
  -d "$tree" "$raw" $((sectors / 2))k
cp "$tree"/boot/vmlinuz-* "$out/vmlinuz"
cp "$tree"/boot/initrd.img-* "$out/initrd.img"
