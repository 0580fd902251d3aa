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

TEST_F(Snapshot, TellsWhatIsAskedForButNothingSecret) {
  write("token", "geheim");
  const auto file = write("web.yaml", R"(recipe: web
from: base
packages: [nginx, curl=7.88.1, -vim]
secrets:
  - {name: token, version: "3", file: token}
provision:
  - shell: {script: "make it", secrets: [token]}
  - files: [{target: /etc/key, content: "geheim", mode: "0600"}]
)");
  const auto recipe = load(file);
  ASSERT_TRUE(recipe) << recipe.error().text();
  const Json requests = to_snapshot(merged({*recipe})).at("requests");
  EXPECT_EQ(requests.at("packages"), (Json{"nginx", "curl=7.88.1", "-vim"}));
  EXPECT_EQ(requests.at("secrets"), (Json{{{"name", "token"}, {"version", "3"}}}));
  EXPECT_EQ(requests.at("provision").at(0).at("shell").at("script"), "make it");
  EXPECT_EQ(requests.at("provision").at(1).at("files").at(0).at("target"), "/etc/key");
  EXPECT_EQ(requests.dump().find("geheim"), std::string::npos) << requests.dump(2);
}

TEST_F(Snapshot, LeavesThePasswordOfARepositoryOut) {
  Recipe recipe;
  recipe.repositories = {{.uri = "https://me:geheim@mirror.example.org/debian",
                          .suites = {"stable"},
                          .components = {"main"}},
                         {.uri = "https://mirror.example.org/a@b"}};
  const Json requests = to_snapshot(recipe).at("requests");
  const auto named = repositories_in(to_snapshot(recipe));
  ASSERT_EQ(named.size(), 2U);
  EXPECT_EQ(named[0].uri, "https://mirror.example.org/debian");
  EXPECT_EQ(named[0].suites.front() + named[0].components.front(), "stablemain");
  EXPECT_TRUE(repositories_in(Json()).empty());
  EXPECT_EQ(requests.at("repositories").at(0).at("uri"), "https://mirror.example.org/debian");
  EXPECT_EQ(requests.at("repositories").at(1).at("uri"), "https://mirror.example.org/a@b");
}

TEST_F(Snapshot, RefusesWhatIsNone) {
  EXPECT_FALSE(from_snapshot(Json()));
  EXPECT_FALSE(from_snapshot({{"name", "base"}}));
}

}  // namespace goldmill::recipe
