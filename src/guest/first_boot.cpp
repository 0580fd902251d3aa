// SPDX-License-Identifier: GPL-3.0-or-later
#include "first_boot.hpp"

#include <array>
#include <cerrno>

#include <unistd.h>

namespace goldmill::guest {

namespace {

struct FirstBootUnit {
  const char* program;  ///< which a package brought
  const char* name;
  const char* target;  ///< that wants it
  std::string_view text;
};

/// After the agent has given the machine its name, which is in the certificate.
constexpr std::string_view kCertificateUnit = R"([Unit]
Description=Self-signed certificate of this machine
ConditionPathExists=|!/etc/ssl/private/ssl-cert-snakeoil.key
ConditionPathExists=|!/etc/ssl/certs/ssl-cert-snakeoil.pem
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service goldmill-agent.service
Before=basic.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/usr/sbin/make-ssl-cert generate-default-snakeoil
)";

/// PostgreSQL's generator knows clusters that were there when the machine started; --start starts
/// those of this time.
constexpr std::string_view kClusters = R"([Unit]
Description=First database clusters of this machine
ConditionPathExistsGlob=!/etc/postgresql/*/*/postgresql.conf
After=goldmill-ssl-cert.service
Before=postgresql.service

[Service]
Type=oneshot
EnvironmentFile=-/etc/default/locale
ExecStart=/bin/sh -c 'for server in /usr/lib/postgresql/*/bin/postgres; do \
    version=$${server#/usr/lib/postgresql/}; \
    pg_createcluster "$${version%%%%/*}" main --start || exit; done'
TimeoutStartSec=infinity
)";

constexpr std::array kFirstBootUnits = {
    FirstBootUnit{
        "/usr/sbin/make-ssl-cert", "goldmill-ssl-cert.service", "basic.target", kCertificateUnit},
    FirstBootUnit{"/usr/bin/pg_createcluster",
                  "goldmill-postgresql.service",
                  "multi-user.target",
                  kClusters}};

}  // namespace

Result<void> add_first_boot_units(GuestTree& tree) {
  const std::string directory = "/usr/lib/systemd/system/";
  for (const FirstBootUnit& unit : kFirstBootUnits) {
    if (!TRY(tree.look(unit.program))) {
      continue;
    }
    TRY(tree.write(directory + unit.name, unit.text));
    const GuestPlace link =
        TRY(tree.place(directory + unit.target + ".wants/" + unit.name, Missing::create));
    const std::string target = std::string("../") + unit.name;
    if (::symlinkat(target.c_str(), link.descriptor(), link.name.c_str()) != 0 && errno != EEXIST) {
      return system_error("cannot enable " + std::string(unit.name), errno);
    }
  }
  return {};
}

}  // namespace goldmill::guest
