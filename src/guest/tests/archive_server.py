# SPDX-License-Identifier: GPL-3.0-or-later
# An HTTP server with an archive's faults, chosen by the first part of the path:
#   /plain/...     serves the directory, with Range
#   /redirect/...  answers 302 to /plain/...
#   /cut/...       breaks off in the middle of each .deb, but serves the rest when asked for it
# usage: archive_server.py DIRECTORY PORT_FILE LOG
import http.server
import os
import re
import sys

ROOT, PORT_FILE, LOG = sys.argv[1:4]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(LOG, "a") as log:
            log.write(f"{self.path} {self.headers.get('Range', '-')}\n")
        _, mode, path = self.path.split("/", 2)
        if mode == "redirect":
            self.send_response(302)
            self.send_header("Location", "/plain/" + path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file = os.path.join(ROOT, path)
        if not os.path.isfile(file):
            self.send_error(404)
            return
        with open(file, "rb") as stream:
            content = stream.read()
        start = 0
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked:
            start = int(asked.group(1))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        # Without it no client can know that the rest belongs to the same file.
        self.send_header("Last-Modified", self.date_time_string(os.stat(file).st_mtime))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if mode == "cut" and path.endswith(".deb") and not asked:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(PORT_FILE + ".new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename(PORT_FILE + ".new", PORT_FILE)
server.serve_forever()
