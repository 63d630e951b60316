"""The server of ``mediagate serve``: a gate under uvicorn."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_network
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate.cli.server.connections import BACKLOG, HEAD_S, UNPARSED_BYTES, Connections, check_most, most_by_default
from mediagate.cli.server.cors import read_pages
from mediagate.cli.server.heap import limit_arenas
from mediagate.cli.server.listener import listening_on
from mediagate.errors import ConfigError
from mediagate.gate import MediaGate
from mediagate.observe import WithoutQuery

log = logging.getLogger("mediagate.server")

MONITORING = ("/healthz", "/readyz", "/metrics")
"""The paths that a worker answers; the last one only if a plugin adds it."""
MONITORS = 64
"""Maximum concurrent connections to a worker."""


def serve(
    gate: MediaGate,
    *,
    host: str,
    port: int,
    mount: str,
    http: str = "auto",
    max_connections: int | None = None,
    head_timeout_s: float = HEAD_S,
    forwarded_allow_ips: str = "",
    cors_origins: str = "",
    cors_credentials: bool = False,
    drain_delay_s: float = 0,
    listens: Callable[[], None] = lambda: None,
) -> None:
    """Serve a gate under a path until SIGTERM or Ctrl-C.

    ``http`` names uvicorn's parser: ``auto``, ``h11`` or ``httptools``. ``max_connections`` is derived from the
    open-file limit by default. ``forwarded_allow_ips`` lists the addresses and networks of proxies whose
    ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are trusted, separated by commas; ``*`` stands for all. Pages of
    ``cors_origins``, separated by commas, may read the responses; with ``cors_credentials`` their requests may have
    cookies, as if ``allowed_origins`` listed them. For ``drain_delay_s`` after SIGTERM only ``/readyz`` reports the
    shutdown; a second signal ends the delay. ``listens`` is called when the port is bound, before the gate opens.

    Raises ``ConfigError``, and the errors of opening the gate.
    """

    limit_arenas()

    def refused(code: str) -> None:
        gate.observer.refused(code)

    proxies = _proxies(forwarded_allow_ips)
    most = check_most(max_connections) if max_connections else most_by_default(gate.settings.max_uploads)
    connections = Connections(most, head_s=head_timeout_s, refused=refused)

    async def home(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{mount}/")

    pages = read_pages(cors_origins, credentials=cors_credentials)
    if pages.credentials:
        allowed = tuple(dict.fromkeys((*gate.settings.allowed_origins, *pages.origins)))
        gate.settings = gate.settings.model_copy(update={"allowed_origins": allowed})
    site = _Site(gate, Starlette(routes=[Route("/", home), Mount(mount, gate)], middleware=pages.middleware))
    config = uvicorn.Config(
        site,
        host=host,
        port=port,
        lifespan="on",
        log_level="info",
        log_config=None,
        **_bounded(connections, http),
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=int(gate.settings.drain_timeout_s) + 5,
    )
    logging.getLogger("uvicorn.access").addFilter(WithoutQuery())
    with listening_on(host, port) as listening:
        listens()
        try:
            _Server(config, gate, drain_delay_s).run(listening)
        except SystemExit:
            if site.failure is None:
                raise
            raise site.failure from site.failure.__cause__


@asynccontextmanager
async def monitored(gate: MediaGate, listening: list[socket.socket]) -> AsyncIterator[None]:
    """Answer an open gate's monitoring routes, and no others, on these sockets within the block."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served = gate if scope["path"] in MONITORING else PlainTextResponse("route not found", 404)
        await served(scope, receive, send)

    server = _Beside(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            **_bounded(Connections(MONITORS), "auto"),
        )
    )
    serving = asyncio.create_task(server.serve(listening))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _bounded(connections: Connections, http: str) -> dict[str, Any]:
    """Return uvicorn's options for limited connections without WebSocket."""
    return {
        "http": connections.protocol(http),
        "h11_max_incomplete_event_size": UNPARSED_BYTES,
        "backlog": BACKLOG,
        "ws": "none",
    }


def _proxies(text: str) -> list[str]:
    """Parse addresses and networks; raises ``ConfigError``, because uvicorn silently ignores malformed ones."""
    proxies = [part.strip() for part in text.split(",") if part.strip()]
    if proxies == ["*"]:
        return proxies
    for proxy in proxies:
        try:
            ip_network(proxy)
        except ValueError as exc:
            raise ConfigError(f"--forwarded-allow-ips: {exc}; use addresses or networks, or * for all") from None
    return proxies


class _Site:
    """An application with the lifespan of its gate; ``failure`` is the error of opening it, if any."""

    def __init__(self, gate: MediaGate, app: ASGIApp) -> None:
        self._gate = gate
        self._app = app
        self.failure: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        try:
            await self._gate.open()
        except Exception as exc:
            self.failure = exc
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._gate.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Beside(uvicorn.Server):
    """A server that leaves signals to its program."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


class _Server(uvicorn.Server):
    """A server that notifies the gate of SIGTERM at once, because waiting clients would delay the shutdown.

    With a delay, ``/readyz`` reports the shutdown first, so that load balancers send no more requests to a listener
    that is about to close.
    """

    def __init__(self, config: uvicorn.Config, gate: MediaGate, delay_s: float) -> None:
        super().__init__(config)
        self._gate = gate
        self._gate.departure.watches = False
        self._delay_s = delay_s
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the gate and accept connections."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown; called by the interpreter between two bytecode instructions."""
        if sig == signal.SIGTERM and self._delay_s and self._loop is not None and not self._gate.withdrawn:
            self._gate.withdraw()
            log.info("SIGTERM received: /readyz answers 503 for %g s before the shutdown", self._delay_s)
            self._loop.call_soon_threadsafe(self._loop.call_later, self._delay_s, self._end)
            return
        self._gate.begin_closing()
        super().handle_exit(sig, frame)

    def _end(self) -> None:
        if not self.should_exit:
            self.handle_exit(signal.SIGTERM, None)
