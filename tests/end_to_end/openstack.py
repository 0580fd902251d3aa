# SPDX-License-Identifier: GPL-3.0-or-later
"""A small OpenStack cloud of the real daemons, in network, process and mount namespaces of its own.

MariaDB, RabbitMQ, Keystone, Glance, Placement, Neutron and Nova, as Debian packages them, on the
loopback of a namespace that has nothing else. Nova's compute service is its own fake driver, which
keeps servers in memory, with `nodes` hosts of it; boots() adds one that starts QEMU by libvirt.
All of it goes when its owner goes, killed or not: the kernel ends a process namespace with its first
process.
"""
import configparser
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

PROGRAMS = ("mariadbd", "rabbitmq-server", "keystone-manage", "glance-api", "placement-manage",
            "neutron-server", "nova-api", "nova-compute", "uwsgi")
DATABASES = ("keystone", "glance", "placement", "neutron", "nova", "nova_api", "nova_cell0")
PORTS = {"mariadb": 3306, "rabbit": 5672, "keystone": 5000, "glance": 9292, "placement": 8778,
         "neutron": 9696, "nova": 8774}
TYPES = {"glance": "image", "placement": "placement", "neutron": "network", "nova": "compute"}
PATHS = {"nova": "/v2.1"}
REGION = "here"
PYTHON = "/usr/bin/python3"  # which sees what Debian packages
SECRET = "Not-4-Anybody"  # of all accounts
# Nova loads drivers from its own package only; its fake one has a single host, on which claims
#  become slower with the square of their number.
COMPUTE = """
import sys
from nova.cmd import compute
from nova.virt import fake

HOSTS = int(sys.argv.pop())


class FakeHosts(fake.FakeDriver):
    def init_host(self, host):
        super().init_host(host)
        self._set_nodes([f"{host}-{number}" for number in range(HOSTS)])


fake.FakeHosts = FakeHosts
compute.main()
"""
# Without agents nothing binds a port, and Nova refuses one that is not bound.
NETWORK = """
from neutron.cmd.eventlet import server
from neutron.tests.unit.plugins.ml2.drivers.mechanism_logger import LoggerMechanismDriver


def bind_port(self, context):
    context.set_binding(context.segments_to_bind[0]["id"], "bridge", {})


LoggerMechanismDriver.bind_port = bind_port
server.main()
"""


def lacks():
    """Programs that are not installed; their packages are in scripts/packages."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return [name for name in PROGRAMS if not shutil.which(name, path=path)]


class Refused(AssertionError):
    """A status that the caller did not expect."""


class Stack:
    """One cloud. `room` becomes its home; end() or the owner's death ends it."""

    def __init__(self, room, nodes=4):
        self.room = room
        self.nodes = nodes
        self.daemons = {}
        self.room.mkdir(parents=True, exist_ok=True)
        # The namespace's first process is a shell, which waits for all that end: libvirt takes a
        # QEMU for alive, 40 s long for each that it probes, while nobody has waited for it.
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--pid", "--mount", "--fork",
             "--kill-child", "--mount-proc", "sh", "-c",
             "ip link set lo up; while :; do sleep 1000; done"])
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        limit = time.monotonic() + 20
        while not (found := children.read_text().split()) and time.monotonic() < limit:
            time.sleep(0.02)
        self.inside = ("nsenter", "--net", "--pid", "--mount", f"--target={found[0]}")
        while self.run("sh", "-c", "ip -br link show lo") .split()[1] == "DOWN":
            time.sleep(0.02)

    def up(self):
        """Starts everything, in the order in which one needs the other."""
        self.database()
        self.messages()
        self.keystone()
        self.glance()
        self.placement()
        self.neutron()
        self.nova()
        return self

    def end(self):
        self.holder.kill()  # the namespace's first process goes with it, and all others with that
        self.holder.wait()

    # --- programs

    def run(self, *command, **options):
        process = subprocess.run([*self.inside, *map(str, command)], capture_output=True,
                                 check=False, env=self.environment(), **options)
        if process.returncode:
            raise Refused(f"{command}: status {process.returncode}\n"
                          f"{process.stdout.decode()[-2000:]}\n{process.stderr.decode()[-4000:]}")
        return process.stdout.decode()

    def environment(self, **more):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                "HOME": str(self.room), **more}

    def start(self, name, *command, **environment):
        with open(self.room / f"{name}.out", "wb") as output:
            self.daemons[name] = subprocess.Popen(
                [*self.inside, *map(str, command)], env=self.environment(**environment),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def stop(self, name):
        """One daemon only; it is the child of nsenter, which waits for it."""
        daemon = self.daemons.pop(name)
        children = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), 9)
        daemon.wait(timeout=30)

    def wait_for(self, what, seconds, is_there):
        limit = time.monotonic() + seconds
        while not is_there():
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if dead or time.monotonic() > limit:
                name = dead[0] if dead else what
                said = "".join(file.read_text(errors="replace")[-4000:]
                               for file in self.room.glob(f"{name}*.out"))
                raise Refused(f"{what} does not come up{f', {dead} ended' if dead else ''}\n{said}")
            time.sleep(0.1)

    def answers(self, name, path="/"):
        def asked():
            with contextlib.suppress(OSError, Refused):
                self.http("GET", self.url(name) + path)
                return True
            return False
        self.wait_for(name, 600, asked)

    def ini(self, name, sections):
        parser = configparser.RawConfigParser()
        parser.read_dict(sections)
        path = self.room / name
        with open(path, "w") as file:
            parser.write(file)
        return path

    # --- requests, by a client that knows nothing of goldmill

    @staticmethod
    def url(name):
        return f"http://127.0.0.1:{PORTS[name]}"

    def http(self, method, url, body=None, token=None):
        """(status, headers, body), asked from inside."""
        program = ("import json, sys, urllib.request, urllib.error\n"
                   "method, url, body, token = json.load(sys.stdin)\n"
                   "ask = urllib.request.Request(url, method=method, data=body and body.encode(),\n"
                   "    headers={'Content-Type': 'application/json', 'X-Auth-Token': token or '',\n"
                   "             'OpenStack-API-Version': 'compute 2.90'})\n"
                   "try:\n    answer = urllib.request.urlopen(ask, timeout=120)\n"
                   "except urllib.error.HTTPError as error:\n    answer = error\n"
                   "print(json.dumps([answer.status, dict(answer.headers),"
                   " answer.read().decode(errors='replace')]))\n")
        said = self.run(sys.executable, "-c", program,
                        input=json.dumps([method, url, body and json.dumps(body), token]).encode())
        return json.loads(said)

    def token(self, user="admin", project="admin"):
        status, headers, body = self.http("POST", self.url("keystone") + "/v3/auth/tokens", {
            "auth": {"identity": {"methods": ["password"], "password": {"user": {
                "name": user, "domain": {"id": "default"}, "password": SECRET}}},
                "scope": {"project": {"name": project, "domain": {"id": "default"}}}}})
        if status != 201:
            raise Refused(body)
        return {key.lower(): value for key, value in headers.items()}["x-subject-token"]

    def ask(self, service, path, body=None, method=None, token=None):
        """The JSON of a good answer."""
        method = method or ("GET" if body is None else "POST")
        status, _, text = self.http(method, self.url(service) + path, body,
                                    token or self.token())
        if not 200 <= status < 300:
            raise Refused(f"{method} {service}{path}: {status} {text[:2000]}")
        return json.loads(text) if text else None

    # --- services

    def database(self):
        data = self.room / "mariadb"
        data.mkdir()
        self.run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
                 "--auth-root-authentication-method=normal", "--skip-test-db")
        socket = data / "socket"
        self.start("mariadb", "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
                   "--bind-address=127.0.0.1", f"--port={PORTS['mariadb']}", f"--socket={socket}",
                   f"--pid-file={data}/pid", "--max-connections=500", "--skip-log-bin",
                   "--innodb-flush-log-at-trx-commit=0")
        self.wait_for("mariadb", 60, socket.exists)
        self.run("mariadb", "--user=root", f"--socket={socket}", input="".join(
            f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO cloud@'127.0.0.1' "
            f"IDENTIFIED BY '{SECRET}'; GRANT ALL ON {name}.* TO cloud@localhost "
            f"IDENTIFIED BY '{SECRET}';" for name in DATABASES).encode())

    @staticmethod
    def connection(database):
        return {"connection": f"mysql+pymysql://cloud:{SECRET}@127.0.0.1:{PORTS['mariadb']}/"
                              f"{database}"}

    def messages(self):
        home = self.room / "rabbit"
        home.mkdir()
        (home / "rabbit.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{PORTS['rabbit']}\n"
                                          "log.console = true\n")
        (home / "plugins").write_text("[].\n")
        (home / "environment").write_text("")
        self.start("rabbit", "/usr/lib/rabbitmq/bin/rabbitmq-server", HOME=str(home),
                   ERL_EPMD_ADDRESS="127.0.0.1", RABBITMQ_NODENAME="rabbit@localhost",
                   RABBITMQ_CONF_ENV_FILE=str(home / "environment"),
                   RABBITMQ_CONFIG_FILE=str(home / "rabbit"),
                   RABBITMQ_MNESIA_BASE=str(home / "state"), RABBITMQ_LOG_BASE=str(home / "log"),
                   RABBITMQ_ENABLED_PLUGINS_FILE=str(home / "plugins"))
        self.transport = f"rabbit://guest:guest@127.0.0.1:{PORTS['rabbit']}/"

    def wsgi(self, name, program, **environment):
        """A service as a WSGI program, for which Debian has uwsgi."""
        self.start(name, "uwsgi", "--plugin", "python3", "--http-socket",
                   f"127.0.0.1:{PORTS[name]}", "--wsgi-file", program, "--processes", "2",
                   "--threads", "4", "--enable-threads", "--lazy-apps", "--master",
                   "--die-on-term", "--buffer-size", "65535",
                   # Its own sockets are closed without a word: clients must not keep them.
                   "--add-header", "Connection: close", **environment)
        self.answers(name)

    def account(self, **more):
        """How one service enters another."""
        return {"auth_url": self.url("keystone") + "/v3", "auth_type": "password",
                "project_domain_id": "default", "user_domain_id": "default",
                "project_name": "admin", "username": "admin", "password": SECRET,
                "region_name": REGION, **more}

    def guard(self):
        return self.account(www_authenticate_uri=self.url("keystone") + "/v3",
                            service_token_roles_required="false")

    def keystone(self):
        home = self.room / "keystone"
        (home / "fernet").mkdir(parents=True)
        (home / "credential").mkdir()
        file = self.ini("keystone/keystone.conf", {
            "database": self.connection("keystone"), "token": {"provider": "fernet"},
            "fernet_tokens": {"key_repository": home / "fernet"},
            "credential": {"key_repository": home / "credential"},
            "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
            "catalog": {"caching": "false"},  # each process has its own: it would miss services
            "identity": {"password_hash_rounds": 4}})
        manage = ("keystone-manage", f"--config-file={file}")
        self.run(*manage, "db_sync")
        for keys in ("fernet_setup", "credential_setup"):
            self.run(*manage, keys, "--keystone-user=root", "--keystone-group=root")
        url = self.url("keystone") + "/v3/"
        self.run(*manage, "bootstrap", f"--bootstrap-password={SECRET}",
                 f"--bootstrap-region-id={REGION}", f"--bootstrap-public-url={url}",
                 f"--bootstrap-internal-url={url}", f"--bootstrap-admin-url={url}")
        self.wsgi("keystone", "/usr/bin/keystone-wsgi-public", OS_KEYSTONE_CONFIG_FILES=str(file))
        token = self.token()
        for name, kind in TYPES.items():
            service = self.ask("keystone", "/v3/services", token=token,
                               body={"service": {"type": kind, "name": name}})["service"]["id"]
            self.ask("keystone", "/v3/endpoints", token=token, body={"endpoint": {
                "interface": "public", "region_id": REGION, "service_id": service,
                "url": self.url(name) + PATHS.get(name, "")}})

    def glance(self):
        home = self.room / "glance"
        for name in ("store", "staging", "tasks"):
            (home / name).mkdir(parents=True)
        file = self.ini("glance/glance-api.conf", {
            "DEFAULT": {"bind_host": "127.0.0.1", "bind_port": PORTS["glance"], "workers": 0,
                        "enabled_backends": "local:file"},
            "database": self.connection("glance"), "glance_store": {"default_backend": "local"},
            "local": {"filesystem_store_datadir": home / "store"},
            "os_glance_staging_store": {"filesystem_store_datadir": home / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": home / "tasks"},
            "paste_deploy": {"flavor": "keystone",
                             "config_file": "/etc/glance/glance-api-paste.ini"},
            "keystone_authtoken": self.guard()})
        self.run("glance-manage", f"--config-file={file}", "db_sync")
        self.start("glance", "glance-api", f"--config-file={file}")
        self.answers("glance")

    def placement(self):
        home = self.room / "placement"
        home.mkdir()
        file = self.ini("placement/placement.conf", {
            "api": {"auth_strategy": "keystone"}, "keystone_authtoken": self.guard(),
            "placement_database": self.connection("placement")})
        self.run("placement-manage", f"--config-file={file}", "db", "sync")
        self.wsgi("placement", "/usr/bin/placement-api", OS_PLACEMENT_CONFIG_DIR=str(home))

    def neutron(self):
        home = self.room / "neutron"
        home.mkdir()
        file = self.ini("neutron/neutron.conf", {
            "DEFAULT": {"bind_host": "127.0.0.1", "bind_port": PORTS["neutron"],
                        "api_workers": 0, "rpc_workers": 0, "rpc_state_report_workers": 0,
                        "core_plugin": "ml2", "service_plugins": "router,port_forwarding",
                        "transport_url": self.transport, "state_path": home,
                        "notify_nova_on_port_status_changes": "false",
                        "notify_nova_on_port_data_changes": "false",
                        "api_paste_config": "/etc/neutron/api-paste.ini"},
            "database": self.connection("neutron"),
            "oslo_concurrency": {"lock_path": home / "lock"},
            "ml2": {"type_drivers": "local", "tenant_network_types": "local",
                    "mechanism_drivers": "logger", "extension_drivers": "port_security"},
            "keystone_authtoken": self.guard()})
        self.run("neutron-db-manage", f"--config-file={file}", "upgrade", "head")
        (home / "server.py").write_text(NETWORK)
        self.start("neutron", PYTHON, home / "server.py", f"--config-file={file}")
        self.answers("neutron")
        self.ask("neutron", "/v2.0/networks")  # its first request must be this one, not /ports

    def nova_conf(self, name, **default):
        home = self.room / name
        (home / "lock").mkdir(parents=True)
        (home / "state/instances").mkdir(parents=True)
        return self.ini(f"{name}/nova.conf", {
            "DEFAULT": {"my_ip": "127.0.0.1", "host": name, "state_path": home / "state",
                        "transport_url": self.transport, "enabled_apis": "osapi_compute",
                        "osapi_compute_listen": "127.0.0.1",
                        "osapi_compute_listen_port": PORTS["nova"], "osapi_compute_workers": 1,
                        "heal_instance_info_cache_interval": -1, "sync_power_state_interval": -1,
                        "max_concurrent_builds": 0, "build_failure_weight_multiplier": 0,
                        "vif_plugging_is_fatal": "false", "vif_plugging_timeout": 0, **default},
            "api": {"auth_strategy": "keystone"}, "keystone_authtoken": self.guard(),
            "api_database": self.connection("nova_api"), "database": self.connection("nova"),
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": 2},
            # Else many requests at once go to the host that looked best a moment ago.
            "filter_scheduler": {"track_instance_changes": "false",
                                 "host_subset_size": max(1, self.nodes // 4)},
            "oslo_concurrency": {"lock_path": home / "lock"},
            "wsgi": {"api_paste_config": "/etc/nova/api-paste.ini"},
            "glance": {"api_servers": self.url("glance")},
            "placement": self.account(), "neutron": self.account(),
            "service_user": self.account(send_service_user_token="false"),
            "libvirt": {"virt_type": "qemu", "cpu_mode": "none", "images_type": "qcow2",
                        "hw_machine_type": "x86_64=q35",
                        "connection_uri": "qemu:///system"},
            "vnc": {"enabled": "false"}, "spice": {"enabled": "false"},
            **{section: {"helper_command": f"privsep-helper --config-file {home}/nova.conf"}
               for section in ("nova_sys_admin", "privsep_osbrick", "vif_plug_linux_bridge_privileged",
                               "vif_plug_ovs_privileged")}})

    def nova(self):
        file = self.nova_conf("nova", compute_driver="fake.FakeHosts")
        manage = ("nova-manage", f"--config-file={file}")
        self.run(*manage, "api_db", "sync")
        self.run(*manage, "cell_v2", "map_cell0", "--database_connection",
                 self.connection("nova_cell0")["connection"])
        self.run(*manage, "cell_v2", "create_cell", "--name=one")
        self.run(*manage, "db", "sync")
        for name in ("conductor", "scheduler", "api"):
            self.start(f"nova-{name}", f"nova-{name}", f"--config-file={file}")
        (self.room / "nova/compute.py").write_text(COMPUTE)
        self.start("nova-compute", PYTHON, self.room / "nova/compute.py",
                   f"--config-file={file}", self.nodes)
        self.answers("nova")
        self.wait_for("nova-compute", 300, lambda: self.hosts() >= self.nodes)

    def hosts(self):
        """Of Nova's, that take servers."""
        statistics = self.ask("nova", "/v2.1/os-hypervisors")["hypervisors"]
        return sum(one["status"] == "enabled" and one["state"] == "up" for one in statistics)

    def boots(self):
        """Instead of the fake hosts one that starts machines by libvirt, in the same namespaces."""
        token = self.token()
        for service in self.ask("nova", "/v2.1/os-services", token=token)["services"]:
            if service["binary"] == "nova-compute":
                self.ask("nova", f"/v2.1/os-services/{service['id']}", method="PUT", token=token,
                         body={"status": "disabled"})
        self.stop("nova-compute")
        libvirt = self.room / "libvirt"
        for name, place in (("run", "/run/libvirt"), ("lib", "/var/lib/libvirt"),
                            ("etc", "/etc/libvirt"), ("cache", "/var/cache/libvirt"),
                            ("log", "/var/log/libvirt")):
            (libvirt / name).mkdir(parents=True)
            self.run("sh", "-c", f"mkdir -p {place}; mount --bind '{libvirt / name}' {place}")
        (libvirt / "etc/qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nstdio_handler = "file"\nsecurity_driver = "none"\n'
            "remember_owner = 0\n")
        (libvirt / "etc/libvirtd.conf").write_text('auth_unix_rw = "none"\nauth_unix_ro = "none"\n')
        # Where guests hang under KVM libvirt tries it for minutes.
        self.run("sh", "-c", "test ! -e /dev/kvm || mount --bind /dev/null /dev/kvm")
        self.start("libvirtd", "libvirtd")
        self.wait_for("libvirtd", 60, (libvirt / "run/libvirt-sock").exists)
        file = self.nova_conf("booting", compute_driver="libvirt.LibvirtDriver")
        self.start("nova-compute", "nova-compute", f"--config-file={file}")
        self.wait_for("nova-compute", 180, lambda: self.hosts() == 1)

    # --- what a cloud's administrator makes

    def project(self, name, **quota):
        """A project with a user of the same name, and its quota; its id."""
        token = self.token()
        made = self.ask("keystone", "/v3/projects", token=token, body={
            "project": {"name": name, "domain_id": "default"}})["project"]["id"]
        user = self.ask("keystone", "/v3/users", token=token, body={
            "user": {"name": name, "domain_id": "default", "password": SECRET}})["user"]["id"]
        roles = self.ask("keystone", "/v3/roles?name=member", token=token)["roles"]
        self.ask("keystone", f"/v3/projects/{made}/users/{user}/roles/{roles[0]['id']}",
                 method="PUT", token=token)
        if quota:
            self.ask("nova", f"/v2.1/os-quota-sets/{made}", method="PUT", token=token,
                     body={"quota_set": quota})
        return made

    def flavor(self, name, memory, cpus, disk):
        """In MiB and GiB."""
        self.ask("nova", "/v2.1/flavors", body={"flavor": {
            "name": name, "ram": memory, "vcpus": cpus, "disk": disk}})

    def network(self, name, project, subnet):
        token = self.token()
        made = self.ask("neutron", "/v2.0/networks", token=token, body={
            "network": {"name": name, "project_id": project}})["network"]["id"]
        self.ask("neutron", "/v2.0/subnets", token=token, body={"subnet": {
            "network_id": made, "ip_version": 4, "cidr": subnet, "project_id": project}})

    def servers(self, user):
        """All of the user's project, by name."""
        token = self.token(user, user)
        listed = self.ask("nova", "/v2.1/servers/detail", token=token)["servers"]
        return {server["name"]: server for server in listed}

    def clouds(self, file, **users):
        """A clouds.yaml with an entry for each user; JSON is YAML, too."""
        file.write_text(json.dumps({"clouds": {cloud: {"region_name": REGION, "auth": {
            "auth_url": self.url("keystone"), "username": user, "password": SECRET,
            "project_name": user, "user_domain_name": "Default",
            "project_domain_id": "default"}} for cloud, user in users.items()}}))
        return file
