"""A small web server for tests of clients: it answers as the test wants, and records the requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    path: str
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes = b""


class Answer(NamedTuple):
    """A status, and a value for JSON or the text of a stream."""

    status: int
    body: Any


class Web:
    """The address of the server, and the requests so far."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[Request] = []


@contextmanager
def web(answers: Callable[[Request], Answer]) -> Iterator[Web]:
    """Answer on a free port during the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.path, dict(self.headers), self.command, sent)
            here.asked.append(request)
            status, body = answers(request)
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problem(kind: str, status: int, **parts: Any) -> Answer:
    """Return a problem as workers report it."""
    detail = {"declared": "table t, key k", "requires": "something", "found": "nothing", "do": "give it", **parts}
    return Answer(status, {"type": f"urn:larder:{kind}", "title": "", "status": status, "detail": "", **detail})
