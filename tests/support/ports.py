"""Ports of the loopback address."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port at which nothing listens; another program may take it before its user does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
