"""Listening sockets, opened before anything else so that an unavailable port is reported at once."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mediagate.cli.server.connections import BACKLOG
from mediagate.errors import ConfigError

ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors of address families that this machine lacks, such as IPv6 for ``localhost`` in a container."""


@contextmanager
def listening_on(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen on each address of a host within the block; raises ``ConfigError`` if none is available."""
    listening = _listen(host, port)
    try:
        yield listening
    finally:
        _close(listening)


def _listen(host: str, port: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as exc:
        raise ConfigError(f"cannot listen on --host {host!r} ({exc}); choose an address of this machine") from None
    listening: list[socket.socket] = []
    absent: OSError | None = None
    for family, address in dict.fromkeys((family, address) for family, *_, address in found):
        try:
            listening.append(socket.create_server(address, family=family, backlog=BACKLOG))
        except OSError as exc:
            if exc.errno in ABSENT:
                absent = exc
                continue
            _close(listening)
            raise ConfigError(_refused(host, port, exc)) from exc
    if not listening and absent is not None:
        raise ConfigError(_refused(host, port, absent)) from absent
    return listening


def _close(listening: Iterable[socket.socket]) -> None:
    for one in listening:
        one.close()


def _refused(host: str, port: int, exc: OSError) -> str:
    other = "another --host" if exc.errno in ABSENT else "another --port"
    return f"cannot listen on {host} port {port} ({os.strerror(exc.errno or 0)}); choose {other}"
