#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud's metadata service for the boot test: one request on standard input, as QEMU's guestfwd
hands it over. usage: metadata_service.py CLOUD KEY_FILE ASKED

Each request goes into ASKED: method, path, EC2 token."""
import json, sys

CLOUD, KEY, ASKED = sys.argv[1:4]
key = open(KEY).read().strip()
meta_data = {"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "hostname": "vm-1.openstack.internal",
             "public_keys": {"mine": key + "\n"}}
PAGES = {
    "ec2": {
        "/latest/meta-data/instance-id": "i-0123456789abcdef0",
        "/latest/meta-data/local-hostname": "vm-1.ec2.internal",
        "/latest/meta-data/public-keys/": "0=mine",
        "/latest/meta-data/public-keys/0/openssh-key": key,
        "/latest/user-data": "hello\n",
    },
    "openstack": {
        "/openstack/latest/meta_data.json": json.dumps(meta_data),
        "/openstack/latest/user_data": "hello\n",
    },
}

lines = []
while not lines or lines[-1]:
    lines.append(sys.stdin.buffer.readline().decode().strip())
method, path = lines[0].split(" ")[:2]
headers = dict(line.lower().split(": ", 1) for line in lines[1:-1])
token = headers.get("x-aws-ec2-metadata-token", "")
with open(ASKED, "a") as asked:
    asked.write(f"{method} {path} {token}\n")

status, body = "404 Not Found", "not here"
if CLOUD == "ec2" and (method, path) == ("PUT", "/latest/api/token"):
    if headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
        status, body = "200 OK", "token-1"
elif CLOUD == "ec2" and token != "token-1":
    status, body = "401 Unauthorized", ""
elif path in PAGES[CLOUD]:
    status, body = "200 OK", PAGES[CLOUD][path]
sys.stdout.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n{body}")
