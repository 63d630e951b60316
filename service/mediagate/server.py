"""A gate behind uvicorn: what ``mediagate serve`` runs."""

from __future__ import annotations

from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from mediagate.app import MediaGate


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
