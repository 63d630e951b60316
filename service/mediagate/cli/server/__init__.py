"""A gate behind uvicorn: what ``mediagate serve`` runs."""

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
"""The paths that a worker answers; the last one if a plugin has such a route."""
MONITORS = 64
"""Connections that a worker answers at once."""


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
    open-file limit unless given. ``forwarded_allow_ips`` are the addresses and networks of proxies, separated by
    commas, whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed; ``*`` stands for all. Pages of
    ``cors_origins``, separated by commas, may read the answers; with ``cors_credentials`` their requests may have
    cookies, as if ``allowed_origins`` named them. For ``drain_delay_s`` after SIGTERM only ``/readyz``
    says that the process ends; another signal ends the delay. ``listens`` is called when the port is had, before the
    gate opens. Raises ``ConfigError``, and what the gate raises when it opens.
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
    """Answer an open gate's monitoring routes, and nothing else, on these sockets for the length of the block."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served = gate if scope["path"] in MONITORING else PlainTextResponse("there is no such route", 404)
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
    """Return the options of uvicorn that keep connections within their bounds; a gate speaks no WebSocket."""
    return {
        "http": connections.protocol(http),
        "h11_max_incomplete_event_size": UNPARSED_BYTES,
        "backlog": BACKLOG,
        "ws": "none",
    }


def _proxies(text: str) -> list[str]:
    """Read addresses and networks; raises ``ConfigError``, since uvicorn passes over what it cannot read."""
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
    """An application with the lifespan of its gate; why that did not open is kept for whoever serves it."""

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
    """Leaves signals to the program that it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Server(uvicorn.Server):
    """Tells the gate about SIGTERM at once: waiting clients are answered, else they would hold up the shutdown.

    With a delay it first says so to whoever asks whether it is ready, so that a load balancer sends no more requests to
    a listener that is about to close.
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
        """Begin to end the process; called by the interpreter between two steps of whatever runs."""
        if sig == signal.SIGTERM and self._delay_s and self._loop is not None and not self._gate.withdrawn:
            self._gate.withdraw()
            log.info("SIGTERM: /readyz answers 503 for %g s before the service ends", self._delay_s)
            self._loop.call_soon_threadsafe(self._loop.call_later, self._delay_s, self._end)
            return
        self._gate.begin_closing()
        super().handle_exit(sig, frame)

    def _end(self) -> None:
        if not self.should_exit:
            self.handle_exit(signal.SIGTERM, None)
