"""The connections of one server process: limits on their number and on the duration and size of a request's head.

Uvicorn limits none of the three. Each connection takes one file of the process's open-file limit, and a process that
has reached that limit can accept no connection, open no database and store no upload.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

import h11

from mediagate.errors import ConfigError, HeadTimeout, HeadTooLarge, MediagateError, TooManyConnections
from mediagate.http import problem

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Uvicorn
else:
    Uvicorn = object

log = logging.getLogger("mediagate.server")

HEAD_S = 10.0
"""Default timeout for the request line and headers, from their first byte on, in seconds."""
HEAD_BYTES = 32 * 1024
"""Maximum size of a request line and headers that arrive in more than one read of the socket (up to 256 KiB each);
nginx has the same limit (``large_client_header_buffers``)."""
UNPARSED_BYTES = 1024 * 1024
"""Buffer limit of h11 for a head: more than can arrive before ``HEAD_BYTES`` is checked."""
BACKLOG = 128
"""Length of the kernel's accept queue; asyncio accepts this many connections before it runs anything else."""
OWN_FILES = 128
"""Maximum open files of the process itself: database, storage, queue, image processes."""
FEWEST, MOST = 16, 4096
"""Bounds of the default number of connections, whatever the open-file limit: each also takes memory."""
LINGER_S = 1.0
"""How long a refused client may take to hang up: closing a connection with unread bytes loses the response."""
FLUSH_S = 60.0
"""How long a closed connection waits for its client to read the rest of the response, in seconds."""
SWEEP_S = 1.0
LOOK = 32
"""Maximum number of idle connections to examine for one to close."""
LOG_EVERY_S = 10.0


def open_files() -> int:
    """Return the open-file limit of this process (``ulimit -n``)."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def most_by_default(max_uploads: int) -> int:
    """Return the number of connections that fit the open-file limit: each may also have a stored file open."""
    return max(FEWEST, min(MOST, (open_files() - OWN_FILES - BACKLOG - max_uploads) // 2))


def check_most(most: int) -> int:
    """Return ``most``; raises ``ConfigError`` if it exceeds the open-file limit."""
    room = max(FEWEST, open_files() - OWN_FILES - BACKLOG)
    if most > room:
        raise ConfigError(
            f"--max-connections {most}: the open-file limit is {open_files()}; raise it (`ulimit -n`), or use at most "
            f"{room}"
        )
    return most


class Connections:
    """All connections of one process: at most ``most``, whose requests' heads arrive within ``head_s`` seconds.

    Beyond that, the connection that has been idle longest is closed for a new one. If each has a request in progress,
    the new one is answered 503. ``refused`` is called with the error code of each such response.
    """

    def __init__(self, most: int, *, head_s: float = HEAD_S, refused: Callable[[str], None] | None = None) -> None:
        self.head_s = head_s
        self._most = most
        self._refused = refused
        self._open: set[Bounded] = set()
        self._waiting: OrderedDict[Bounded, None] = OrderedDict()
        self._tally: Counter[str] = Counter()
        self._logging = False
        self._sweeping = False

    def protocol(self, http: str) -> type[asyncio.Protocol]:
        """Return uvicorn's protocol for an HTTP parser with these limits; raises ``ConfigError`` if it is missing."""
        return type("BoundedProtocol", (Bounded, _uvicorn(http)), {"bounds": self})

    def enter(self, connection: Bounded) -> None:
        """Register a new connection, or refuse it."""
        self._open.add(connection)
        if len(self._open) > self._most and not self._make_room():
            detail = "too many concurrent requests; try again in a moment"
            self.refuse(connection, TooManyConnections(detail))
        self._waiting[connection] = None
        if not self._sweeping:
            self._sweeping = True
            self._sweep()

    def leave(self, connection: Bounded) -> None:
        """Remove a connection that has ended."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def wait(self, connection: Bounded) -> None:
        """Mark a connection as idle."""
        if connection in self._open:
            self._waiting[connection] = None

    def work(self, connection: Bounded) -> None:
        """Mark a connection as having a request in progress."""
        self._waiting.pop(connection, None)

    def refuse(self, connection: Bounded, error: MediagateError) -> None:
        """Answer a connection with an error and close it."""
        connection.end_with(_written(error))
        if self._refused is not None:
            self._refused(error.code)
        self._count(error.code)

    def _make_room(self) -> bool:
        for _ in range(min(LOOK, len(self._waiting))):
            oldest = next(iter(self._waiting))
            if not oldest.unsent:
                self.leave(oldest)
                oldest.transport.abort()
                self._count("displaced")
                return True
            self._waiting.move_to_end(oldest)
        return False

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in [*self._open]:
            connection.check(loop.time())
        self._sweeping = bool(self._open)
        if self._sweeping:
            loop.call_later(min(SWEEP_S, self.head_s / 4), self._sweep)

    def _count(self, event: str) -> None:
        self._tally[event] += 1
        if not self._logging:
            self._logging = True
            self._log()

    def _log(self) -> None:
        tally, self._tally = self._tally, Counter()
        displaced, refused = tally["displaced"], tally[TooManyConnections.code]
        late, large = tally[HeadTimeout.code], tally[HeadTooLarge.code]
        if displaced or refused:
            log.warning(
                "too many connections: %d idle ones closed to make room, %d new ones answered 503; the limit of this "
                "process is %d (--max-connections, by default from the open-file limit, `ulimit -n`: %d)",
                displaced, refused, self._most, open_files(),
            )  # fmt: skip
        if late or large:
            log.warning(
                "incomplete requests: %d connections closed because their line and headers took longer than %g s "
                "(--head-timeout), %d because they exceeded %d bytes",
                late, self.head_s, large, HEAD_BYTES,
            )  # fmt: skip
        self._logging = bool(tally)
        if self._logging:
            asyncio.get_running_loop().call_later(LOG_EVERY_S, self._log)


class Bounded(Uvicorn):
    """Mixin that adds the limits of ``Connections`` to either of uvicorn's HTTP/1.1 protocols."""

    bounds: ClassVar[Connections]

    def connection_made(self, transport: Any) -> None:
        """Register the connection and wait for a request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._begun = False
        self._head_bytes = 0
        self._refused = False
        self._closed_at: float | None = None
        self.bounds.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        super().connection_lost(exc)
        self.bounds.leave(self)

    def data_received(self, data: bytes) -> None:
        """Process received bytes; discard them after a refusal."""
        if self._refused:
            return
        super().data_received(data)
        if not self._waiting:
            self._begun = False
            self._head_bytes = 0
            self.bounds.work(self)
            return
        if not self._begun:
            self._begun = True
            self._since = self.loop.time()
        self._head_bytes = self._size_of_head(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            detail = f"the request line and headers exceed {HEAD_BYTES:,} bytes; send fewer or shorter headers"
            self.bounds.refuse(self, HeadTooLarge(detail))

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has already arrived."""
        super().on_response_complete()
        if self._waiting:
            self._since = self.loop.time()
            self.bounds.wait(self)

    def end_with(self, answer: bytes) -> None:
        """Send a response without a request and close when the client has hung up, or after ``LINGER_S``."""
        self._refused = True
        self._since = self.loop.time()
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def check(self, now: float) -> None:
        """Close the connection if its time is up."""
        if self.transport.is_closing():
            self._closed_at = self._closed_at or now
            if now - self._closed_at >= FLUSH_S:
                self.transport.abort()
        elif self._refused:
            if now - self._since >= LINGER_S:
                self.transport.abort()
        elif self._waiting and now - self._since >= self.bounds.head_s:
            self._end_late()

    def _end_late(self) -> None:
        if self._begun and (self.cycle is None or not self.cycle.more_body):
            detail = f"the request line and headers were incomplete after {self.bounds.head_s:g} s; send them again"
            self.bounds.refuse(self, HeadTimeout(detail))
        elif self._begun or self.cycle is None:
            # Either the rest of an answered request's body, or no data at all: browsers connect in advance.
            self.transport.close()

    @property
    def unsent(self) -> bool:
        """Whether a part of a response is still unsent."""
        return self.transport.get_write_buffer_size() > 0

    @property
    def _waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _size_of_head(self, data: bytes) -> int:
        """Return the size of an incomplete head, or of a body's trailer, including ``data``."""
        if isinstance(getattr(self, "conn", None), h11.Connection):
            return len(self.conn.trailing_data[0])
        # httptools creates a scope at the start of a head and passes it to the request's cycle at its end.
        began = self.scope is not None and (self.cycle is None or self.cycle.scope is not self.scope)
        return self._head_bytes + len(data) if began else 0


def _uvicorn(http: str) -> type[asyncio.Protocol]:
    protocol: type[asyncio.Protocol]
    if http == "auto":
        from uvicorn.protocols.http.auto import AutoHTTPProtocol as protocol
    elif http == "h11":
        from uvicorn.protocols.http.h11_impl import H11Protocol as protocol
    elif http == "httptools":
        try:
            from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as protocol
        except ImportError:
            raise ConfigError('--http httptools needs httptools; pip install "mediagate[fast]"') from None
    else:
        raise ConfigError(f"--http {http!r}: use auto, h11 or httptools")
    return protocol


def _written(error: MediagateError) -> bytes:
    """Return the bytes of an error's HTTP/1.1 response."""
    error.close_connection = True
    answer = problem(error)
    status = HTTPStatus(answer.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b": ".join(pair) for pair in answer.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
