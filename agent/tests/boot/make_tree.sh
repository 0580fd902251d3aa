#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the tree that the boot tests start from, once. usage: make_tree.sh SUITE TREE.tar
set -eu
suite=$1 tar=$2
[ ! -s "$tar" ] || exit 0
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -1)
export SOURCE_DATE_EPOCH=1790000000
packages=linux-image-cloud-amd64,systemd-sysv,udev,openssh-server,sudo,nftables,systemd-resolved
packages=$packages,systemd-timesyncd,tzdata,kmod,initramfs-tools,iproute2
mkdir -p "$(dirname "$tar")"
mmdebstrap --quiet --mode=root --variant=minbase --format=tar --include=$packages \
  --aptopt='Acquire::Languages "none"' "$suite" "$tar.new" "deb $archive $suite main"
mv "$tar.new" "$tar"
