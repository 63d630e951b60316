"""A gate behind uvicorn: what ``mediagate serve`` runs."""

from __future__ import annotations

import logging
import re
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from mediagate.app import MediaGate

_TOKEN = re.compile(r"([?&]token=)[^&\s]+")


def serve(gate: MediaGate, *, host: str, port: int, mount: str) -> bool:
    """Serve a gate under a path until SIGTERM or Ctrl-C; ``False`` when it could not start."""

    async def home(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{mount}/")

    app = Starlette(routes=[Route("/", home), Mount(mount, gate)], lifespan=gate.lifespan)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="info",
        timeout_graceful_shutdown=int(gate.settings.drain_timeout_s) + 5,
    )
    logging.getLogger("uvicorn.access").addFilter(_without_tokens)
    server = _Server(config, gate)
    server.run()
    return server.started


class _Server(uvicorn.Server):
    """Tells the gate about SIGTERM at once: waiting clients are answered, else they would hold up the shutdown."""

    def __init__(self, config: uvicorn.Config, gate: MediaGate) -> None:
        super().__init__(config)
        self._gate = gate

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._gate.begin_closing()
        super().handle_exit(sig, frame)


def _without_tokens(line: logging.LogRecord) -> bool:
    """Take the tokens of upload URLs out of a line of the access log."""
    if isinstance(line.args, tuple):
        line.args = tuple(_TOKEN.sub(r"\1…", part) if isinstance(part, str) else part for part in line.args)
    return True
