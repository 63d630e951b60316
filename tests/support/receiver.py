"""A receiver of webhooks on loopback, in a thread of its own, that can do what receivers do and should not."""

from __future__ import annotations

import base64
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
CHUNK = b"x" * 65536


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Behaviour = Callable[["Handler"], None]


def answer(status: int, **headers: str) -> Behaviour:
    """Answer with a status; ``Retry_After="3"`` adds that header."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


def hang(handler: Handler) -> None:
    """Say nothing until the receiver is closed."""
    handler.server.closing.wait(120)
    handler.close_connection = True


def trickle(handler: Handler) -> None:
    """Send one byte of the headers after the other, so that no single read ever times out."""
    with contextlib.suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
            handler.wfile.write(bytes([byte]))
            if handler.server.closing.wait(0.05):
                break
    handler.close_connection = True


def huge(handler: Handler) -> None:
    """Answer 200 with one gigabyte."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**30))
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(2**30 // len(CHUNK)):
            handler.wfile.write(CHUNK)
            handler.server.bytes_sent += len(CHUNK)
    handler.close_connection = True


def endless_headers(handler: Handler) -> None:
    """Answer with headers that never end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(OSError):
        for n in range(10**6):
            handler.wfile.write(b"X-%d: %s\r\n" % (n, CHUNK[:1000]))
            handler.server.bytes_sent += 1000
    handler.close_connection = True


def cut(handler: Handler) -> None:
    """Close in the middle of the headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    handler.close_connection = True


def no_http(handler: Handler) -> None:
    """Answer in another protocol."""
    handler.wfile.write(b"220 mail.example ESMTP\r\n")
    handler.close_connection = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.note(Received(self.path, headers, body))(self)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None: ...


class Receiver(ThreadingHTTPServer):
    """Answers each request as the next behaviour says, the last one again and again."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *behaviours: Behaviour, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.behaviours = list(behaviours) or [answer(204)]
        self.received: list[Received] = []
        self.names: list[str | None] = []
        self.bytes_sent = 0
        self.closing = threading.Event()
        self._changed = threading.Condition()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.port}/hook"

    def note(self, received: Received) -> Behaviour:
        with self._changed:
            behaviour = self.behaviours[min(len(self.received), len(self.behaviours) - 1)]
            self.received.append(received)
            self._changed.notify_all()
        return behaviour

    def wait_for(self, count: int, timeout_s: float = 60) -> list[Received]:
        """Return what came, as soon as it is this much."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while len(self.received) < count:
                left = end - time.monotonic()
                assert left > 0, f"{len(self.received)} webhooks came instead of {count}"
                self._changed.wait(left)
            return list(self.received)

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS, and note which names are asked for."""
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None: ...


@contextlib.contextmanager
def receiving(*behaviours: Behaviour, tls: ssl.SSLContext | None = None, **where: Any) -> Iterator[Receiver]:
    """Run a receiver for the length of a block."""
    receiver = Receiver(*behaviours, **where)
    if tls is not None:
        receiver.secure(tls)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()
