"""The ASGI lifespan protocol, for a gate that is the whole application."""

from __future__ import annotations

import logging
from typing import Protocol

from starlette.types import Receive, Send

from mediagate.observe import cause_of

log = logging.getLogger("mediagate")

BY_REQUEST = (
    "the first request opened it, because the host did not run the gate's lifespan; pass lifespan=gate.lifespan "
    "to the host, or enter the gate before the first request"
)
OPENED_LATE = (
    "opened lazily on the first request because the host did not run the gate's lifespan: pass lifespan=gate.lifespan "
    "to the host, or enter gate.lifespan() inside its own, so that jobs left from before a restart are processed at "
    'once; a host without a lifespan, such as daphne, gets SIGTERM after the gate has closed (the page "Mount" of '
    "the documentation)"
)
OTHER_LOOP = (
    "the gate was opened in another event loop: in tests use `with TestClient(app)`, and pass lifespan=gate.lifespan "
    "to the host"
)


class Opened(Protocol):
    """An object that is opened before the first request and closed after the last."""

    async def open(self) -> None:
        """Open the object."""

    async def close(self) -> None:
        """Close the object."""


async def run_lifespan(gate: Opened, receive: Receive, send: Send) -> None:
    """Serve the ASGI lifespan protocol when the gate is the whole application."""
    await receive()
    try:
        await gate.open()
    except Exception as exc:
        why = cause_of(exc) if isinstance(exc, BaseExceptionGroup) else str(exc)
        log.error("startup failed: %s", why)
        await send({"type": "lifespan.startup.failed", "message": why})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await gate.close()
    await send({"type": "lifespan.shutdown.complete"})
