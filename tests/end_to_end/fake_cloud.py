# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud that misbehaves on demand: Keystone, Nova, Glance and Neutron as far as goldmill asks them.

It proves what real daemons cannot be made to do: refusals for a moment, lost answers, other people's
pages, lies. What the API really is the real daemons say, in test_openstack.py.
"""
import hashlib
import http.server
import json
import re
import threading
import time
import urllib.parse
import uuid

USER, PASSWORD, PROJECT = "mill", "Correct-Horse-7", "0" * 31 + "1"


class FakeCloud:
    def __init__(self):
        self.lock = threading.RLock()
        self.servers, self.images, self.key_pairs = {}, {}, {}
        self.starts = {}  # of images' files
        self.tokens = set()
        self.faults = []  # (method, pattern of the path, what to do instead, how often)
        self.seen = []  # (time, method, path)
        self.page = 1000
        self.limits = {"maxTotalInstances": 50, "totalInstancesUsed": 0}
        self.networks = [{"id": str(uuid.uuid4()), "name": "inside", "router:external": False},
                         {"id": str(uuid.uuid4()), "name": "outside", "router:external": True}]
        self.flavors = [{"id": "1", "name": "tiny", "ram": 64, "vcpus": 1, "disk": 1},
                        {"id": "3", "name": "big", "ram": 4096, "vcpus": 4, "disk": 40},
                        {"id": "2", "name": "small", "ram": 512, "vcpus": 1, "disk": 20}]
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.web.daemon_threads = True
        self.web.handle_error = lambda *_: None  # who asked is dead, as some tests have it
        self.url = f"http://127.0.0.1:{self.web.server_address[1]}"
        threading.Thread(target=self.web.serve_forever, daemon=True).start()

    def end(self):
        self.web.shutdown()
        self.web.server_close()

    def fail(self, method, pattern, action, times=1):
        """`action(handler, go_on)` is done instead; go_on() does what is asked and gives
        (status, body)."""
        with self.lock:
            self.faults.append([method, re.compile(pattern), action, times])

    def environment(self, **more):
        return {"OS_AUTH_URL": self.url + "/identity", "OS_USERNAME": USER,
                "OS_PASSWORD": PASSWORD, "OS_PROJECT_NAME": "demo", "OS_CLOUD": None, **more}

    def count(self, method, pattern):
        return sum(one == method and re.search(pattern, path) is not None
                   for _, one, path in self.seen)

    # --- services: (status, body)

    def answer(self, method, path, query, body, token):
        if path == "/identity/v3/auth/tokens":
            return self.enter(json.loads(body))
        if token not in self.tokens:
            return 401, {"error": {"message": "The request you have made requires authentication."}}
        service, _, rest = path.lstrip("/").partition("/")
        known = {"compute": self.nova, "image": self.glance, "network": self.neutron}
        return known[service](method, "/" + rest.partition("/")[2], query, body)

    def enter(self, body):
        user = body["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != (USER, PASSWORD):
            return 401, {"error": {"message": "The request you have made requires authentication."}}
        token = uuid.uuid4().hex
        self.tokens.add(token)
        catalogue = [{"type": kind, "endpoints": [{"interface": "public", "region_id": "here",
                                                   "url": f"{self.url}/{kind}{version}"}]}
                     for kind, version in (("compute", "/v2.1"), ("image", "/v2"),
                                           ("network", "/v2.0"))]
        return 201, {"token": {"project": {"id": PROJECT}, "catalog": catalogue}}, token

    def nova(self, method, path, query, body):
        if path == "/flavors/detail":
            return 200, {"flavors": self.flavors}
        if path == "/limits":
            return 200, {"limits": {"absolute": self.limits}}
        if path.startswith("/os-keypairs"):
            return self.keys(method, path, body)
        if path == "/servers" and method == "POST":
            return self.make(json.loads(body)["server"])
        if path == "/servers/detail":
            return self.listed(query)
        server = self.servers.get(path.split("/")[2])
        if server is None:
            return 404, {"itemNotFound": {"message": "Instance could not be found."}}
        if method == "DELETE":
            del self.servers[server["id"]]
            return 204, None
        if path.endswith("/action"):
            return self.act(server, json.loads(body))
        return 200, {"server": server}

    def keys(self, method, path, body):
        if method == "POST":
            pair = json.loads(body)["keypair"]
            if pair["name"] in self.key_pairs:
                return 409, {"conflictingRequest": {"message": "Key pair already exists."}}
            self.key_pairs[pair["name"]] = pair
            return 201, {"keypair": pair}
        pair = self.key_pairs.get(urllib.parse.unquote(path.split("/")[2]))
        return (200, {"keypair": pair}) if pair else (404, {"itemNotFound": {"message": "no"}})

    def make(self, wanted):
        server = {**wanted, "id": str(uuid.uuid4()), "status": "ACTIVE",
                  "updated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "addresses": {
            "inside": [{"addr": f"198.18.0.{len(self.servers) + 2}", "version": 4,
                        "OS-EXT-IPS:type": "fixed"}]}}
        self.servers[server["id"]] = server
        return 202, {"server": {"id": server["id"], "adminPass": "Only-Shown-Once"}}

    def listed(self, query):
        tags = set(query.get("tags", [""])[0].split(","))
        fitting = [one for one in sorted(self.servers.values(), key=lambda one: one["id"])
                   if tags <= set(one.get("tags", [])) and
                   one["updated"] >= query.get("changes-since", [""])[0] and
                   one["id"] > query.get("marker", [""])[0]]
        answer = {"servers": fitting[:self.page]}
        if len(fitting) > self.page:
            answer["servers_links"] = [{"rel": "next", "href": "http://198.18.255.1/elsewhere"}]
        return 200, answer

    @staticmethod
    def act(server, action):
        if "os-getConsoleOutput" in action:
            return 200, {"output": "Debian says hello\n"}
        server["status"] = "SHUTOFF" if "os-stop" in action else "ACTIVE"
        return 202, None

    def glance(self, method, path, query, body):
        if path == "/images" and method == "POST":
            image = {**json.loads(body), "id": str(uuid.uuid4()), "status": "queued",
                     "owner": PROJECT, "size": None}
            self.images[image["id"]] = image
            return 201, image
        if path == "/images":
            return 200, {"images": [one for one in self.images.values()
                                    if one["goldmill_disk"] == query["goldmill_disk"][0]]}
        image = self.images.get(path.split("/")[2])
        if image is None:
            return 404, None
        if method == "DELETE":
            del self.images[image["id"]]
            return 204, None
        if path.endswith("/file"):
            image.update(status="active", size=len(body), os_hash_algo="sha512",
                         os_hash_value=hashlib.sha512(body).hexdigest())
            self.starts[image["id"]] = body[:64]
            return 204, None
        return 200, image

    def neutron(self, *_):
        return 200, {"networks": self.networks}


def handler_of(cloud):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def handle_one(self):
            url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            # This handler may be at another request by the time when a fault goes on with this one.
            method, token = self.command, self.headers.get("X-Auth-Token")

            def go_on():
                with cloud.lock:
                    return cloud.answer(method, url.path, urllib.parse.parse_qs(url.query), body, token)

            with cloud.lock:
                cloud.seen.append((time.monotonic(), self.command, self.path))
                for fault in cloud.faults:
                    if fault[3] and fault[0] == self.command and fault[1].search(self.path):
                        fault[3] -= 1
                        break
                else:
                    fault = None
            if fault:
                fault[2](self, go_on)
            else:
                self.send(*go_on())

        do_GET = do_POST = do_PUT = do_DELETE = handle_one

        def send(self, status, body=None, token=None, headers=None):
            text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(
                body).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if token:
                self.send_header("X-Subject-Token", token)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def cut(self):
            """Ends the connection without an answer."""
            self.close_connection = True

    return Handler


def refusing(status, **headers):
    """A server that has no time: `Retry_After="1"`."""
    return lambda handler, go_on: handler.send(
        status, {"overLimit": {"message": "later"}},
        headers={name.replace("_", "-"): value for name, value in headers.items()})


def saying(body, status=200):
    return lambda handler, go_on: handler.send(status, body)
