"""The connections of one server process: how many there may be, and how long and large the head of a request may be.

Uvicorn bounds none of the three. Each connection takes one file of the process's open-file limit, and a process without
files can accept nothing, open no database and store no upload.
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
"""How long a request's line and headers may take by default, from their first byte on."""
HEAD_BYTES = 32 * 1024
"""Largest line and headers of a request that arrive in more than one read of the socket, which takes at most 256 KiB;
nginx takes as much (``large_client_header_buffers``)."""
UNPARSED_BYTES = 1024 * 1024
"""What h11 keeps of a head: more than can come before ``HEAD_BYTES`` is looked at."""
BACKLOG = 128
"""Connections that the kernel keeps ready: asyncio accepts as many in one go before it runs anything else."""
OWN_FILES = 128
"""Open files that the process itself needs at most: database, storage, queue, image processes."""
FEWEST, MOST = 16, 4096
"""Connections by default, however low or high the open-file limit is: each also takes memory."""
LINGER_S = 1.0
"""How long a refused client may take to hang up: a connection that is closed over unread bytes loses its answer."""
FLUSH_S = 60.0
"""How long a closed connection waits for its client to read the rest of the answer."""
SWEEP_S = 1.0
LOOK = 32
"""Waiting connections that are looked at for one that can make room."""
LOG_EVERY_S = 10.0


def open_files() -> int:
    """Return how many files this process may have open (``ulimit -n``)."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def most_by_default(max_uploads: int) -> int:
    """Return how many connections the open-file limit leaves room for: each may have a stored file open besides."""
    return max(FEWEST, min(MOST, (open_files() - OWN_FILES - BACKLOG - max_uploads) // 2))


def check_most(most: int) -> int:
    """Return a number of connections; raises ``ConfigError`` when the open-file limit has no room for them."""
    room = max(FEWEST, open_files() - OWN_FILES - BACKLOG)
    if most > room:
        raise ConfigError(
            f"--max-connections {most}: the open-file limit is {open_files()}; raise it (`ulimit -n`), or use at most "
            f"{room}"
        )
    return most


class Connections:
    """All connections of one process: at most ``most``, whose requests' heads arrive within ``head_s`` seconds.

    Beyond that, the connection that has waited longest without a request makes room for a new one; where each has a
    request under way, the new one is answered 503. ``refused`` is told the code of each such answer.
    """

    def __init__(self, most: int, *, head_s: float = HEAD_S, refused: Callable[[str], None] | None = None) -> None:
        self.head_s = head_s
        self._most = most
        self._refused = refused
        self._open: set[Bounded] = set()
        self._waiting: OrderedDict[Bounded, None] = OrderedDict()
        self._tally: Counter[str] = Counter()
        self._telling = False
        self._sweeping = False

    def protocol(self, http: str) -> type[asyncio.Protocol]:
        """Return uvicorn's protocol for an HTTP parser, within these bounds; raises ``ConfigError`` without it."""
        return type("BoundedProtocol", (Bounded, _uvicorn(http)), {"bounds": self})

    def enter(self, connection: Bounded) -> None:
        """Take a new connection in, or refuse it."""
        self._open.add(connection)
        if len(self._open) > self._most and not self._make_room():
            words = "this server has as many requests under way as it may; try again in a moment"
            self.refuse(connection, TooManyConnections(words))
        self._waiting[connection] = None
        if not self._sweeping:
            self._sweeping = True
            self._sweep()

    def leave(self, connection: Bounded) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def wait(self, connection: Bounded) -> None:
        """Note that a connection has no request under way from now on."""
        if connection in self._open:
            self._waiting[connection] = None

    def work(self, connection: Bounded) -> None:
        """Note that a connection has a request under way."""
        self._waiting.pop(connection, None)

    def refuse(self, connection: Bounded, error: MediagateError) -> None:
        """Answer a connection with an error, and have it end."""
        connection.end_with(_written(error))
        if self._refused is not None:
            self._refused(error.code)
        self._tell(error.code)

    def _make_room(self) -> bool:
        for _ in range(min(LOOK, len(self._waiting))):
            oldest = next(iter(self._waiting))
            if not oldest.unsent:
                self.leave(oldest)
                oldest.transport.abort()
                self._tell("displaced")
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

    def _tell(self, what: str) -> None:
        self._tally[what] += 1
        if not self._telling:
            self._telling = True
            self._log()

    def _log(self) -> None:
        tally, self._tally = self._tally, Counter()
        displaced, refused = tally["displaced"], tally[TooManyConnections.code]
        late, large = tally[HeadTimeout.code], tally[HeadTooLarge.code]
        if displaced or refused:
            log.warning(
                "too many connections: %d without a request under way closed to make room, %d new ones answered 503; "
                "this process has %d places (--max-connections; by default from its open-file limit, `ulimit -n`: %d)",
                displaced, refused, self._most, open_files(),
            )  # fmt: skip
        if late or large:
            log.warning(
                "unfinished requests: %d connections closed whose line and headers were not there after %g s "
                "(--head-timeout), %d whose were larger than %d bytes",
                late, self.head_s, large, HEAD_BYTES,
            )  # fmt: skip
        self._telling = bool(tally)
        if self._telling:
            asyncio.get_running_loop().call_later(LOG_EVERY_S, self._log)


class Bounded(Uvicorn):
    """What ``Connections`` adds to either of uvicorn's HTTP/1.1 protocols, in front of which it stands."""

    bounds: ClassVar[Connections]

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._begun = False
        self._head_bytes = 0
        self._refused = False
        self._closed_at: float | None = None
        self.bounds.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self.bounds.leave(self)

    def data_received(self, data: bytes) -> None:
        """Read on; drop what comes after a refusal."""
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
            words = f"the line and headers of a request may have {HEAD_BYTES:,} bytes; send fewer or shorter headers"
            self.bounds.refuse(self, HeadTooLarge(words))

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is here already."""
        super().on_response_complete()
        if self._waiting:
            self._since = self.loop.time()
            self.bounds.wait(self)

    def end_with(self, answer: bytes) -> None:
        """Send an answer without a request and end when the client has hung up, at the latest ``LINGER_S`` later."""
        self._refused = True
        self._since = self.loop.time()
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def check(self, now: float) -> None:
        """End the connection if its time is up."""
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
            words = f"the line and headers of the request were not complete after {self.bounds.head_s:g} s"
            self.bounds.refuse(self, HeadTimeout(f"{words}; send it again"))
        elif self._begun or self.cycle is None:
            # The rest of a body whose request has its answer, or nothing at all, as browsers connect in advance.
            self.transport.close()

    @property
    def unsent(self) -> bool:
        """Whether the client has yet to read a part of an answer."""
        return self.transport.get_write_buffer_size() > 0

    @property
    def _waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _size_of_head(self, data: bytes) -> int:
        """Return how much has come of a head that is incomplete, after ``data`` of it, or of the end of a body."""
        if isinstance(getattr(self, "conn", None), h11.Connection):
            return len(self.conn.trailing_data[0])
        # httptools begins a scope with a head, and the request's cycle takes it when the head is complete.
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
    """Return an error's answer as it goes over HTTP/1.1."""
    error.close_connection = True
    answer = problem(error)
    status = HTTPStatus(answer.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b": ".join(pair) for pair in answer.raw_headers)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
