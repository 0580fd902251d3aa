// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <goldmill/recipe/load.hpp>
#include <goldmill/recipe/snapshot.hpp>

#include "recipe_files.hpp"

namespace goldmill::recipe {

class Snapshot : public RecipeFiles {};

TEST_F(Snapshot, KeepsWhatHoldsAndWhatIsPromised) {
  write("ops.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops\n");
  const auto file = write("base.yaml", R"(recipe: base
os: debian/12
hardware: [virtio, nvme]
clouds: [openstack]
baseline:
  timezone: Europe/Berlin
  firewall: {inbound: [ssh, 8080/tcp]}
  users:
    - {name: ops, sudo: true, ssh_keys: [file:ops.pub]}
disk: {size: 6GiB, boot: [uefi]}
promises: {disk_used: 400MiB, boot_seconds: 20, commands: ["true"], services: [ssh.service]}
)");
  const auto recipe = load(file);
  ASSERT_TRUE(recipe) << recipe.error().text();
  const Recipe whole = merged({*recipe});
  const Json snapshot = to_snapshot(whole);
  const auto read = from_snapshot(snapshot);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(to_snapshot(*read), snapshot);
  EXPECT_EQ(read->baseline.users->front().ssh_keys, whole.baseline.users->front().ssh_keys);
  EXPECT_EQ(read->disk->size, 6_GiB);
  EXPECT_EQ(read->promises.commands, std::vector<std::string>{"true"});
  EXPECT_EQ(read->hardware, (std::vector<Hardware>{Hardware::virtio, Hardware::nvme}));
  EXPECT_EQ(read->clouds, std::vector<std::string>{"openstack"});
}

TEST_F(Snapshot, RefusesWhatIsNone) {
  EXPECT_FALSE(from_snapshot(Json()));
  EXPECT_FALSE(from_snapshot({{"name", "base"}}));
}

}  // namespace goldmill::recipe
