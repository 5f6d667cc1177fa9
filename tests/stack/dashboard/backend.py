"""A backend as a process, for tests that kill it: python backend.py PORT …

Standard library only, so that it starts fast. Paths say what it does with a request.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Seconds that /slow takes.
SLOW = 1.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            time.sleep(SLOW)
        status = 500 if self.path.startswith("/fail") else 200
        self.send_response(status)
        self.send_header("Content-Length", "100" if self.path.startswith("/cut") else "2")
        self.end_headers()
        self.wfile.write(b"ok")
        self.close_connection = self.path.startswith("/cut")

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100


def main() -> None:
    servers = [Server(("127.0.0.1", int(port)), Handler) for port in sys.argv[1:]]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
