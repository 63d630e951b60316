"""``MediaGate``: the mountable ASGI app with its plugins and its lifespan."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Literal, ParamSpec, Self, TypeVar

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate.api import Calls, Runtime, assemble, jobs_at_once, start
from mediagate.config import Settings, Source, check_sources
from mediagate.errors import ConfigError, PluginError, ShuttingDown
from mediagate.http import (
    BY_HOST,
    BY_REQUEST,
    LEFT_OPEN,
    OPENED_LATE,
    OTHER_LOOP,
    Entrance,
    Routes,
    RouteTable,
    answer,
    ask_who,
    run_lifespan,
)
from mediagate.images import ForkServer
from mediagate.kernel import Check, Departure, Endpoint, Hook, HookName, Key, Plugin, Registry, bind
from mediagate.observe import Observer, Observers
from mediagate.parts import AUTHORIZE, Authorize, Parts
from mediagate.values import Action, Principal

log = logging.getLogger("mediagate")

P = ParamSpec("P")
T = TypeVar("T")


class MediaGate(Calls):
    """A mountable sub-app that takes image uploads and lets only safe ones through.

    ``sources`` maps each source type to its policy. Settings come from ``settings`` or, without it, from
    ``MEDIAGATE_*``; ``moderation="off"`` is the one that is worth saying in code. ``authorize`` says who
    a request is from, so that each caller finds only its own; without it, or a plugin that brings one, everybody may do
    everything. Raises ``ConfigError``.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        settings: Settings | None = None,
        moderation: Literal["on", "off"] | None = None,
        authorize: Authorize | None = None,
    ) -> None:
        check_sources(sources)
        self.sources = dict(sources)
        self.settings = settings or Settings()
        if moderation is not None:
            self.settings = self.settings.model_copy(update={"moderation": moderation})
        self.fork_server: ForkServer | None = None
        """Where the gate's image processes will come from, if whoever opens it has started that already."""
        self._host = Registry()
        if authorize is not None:
            self._host.provide(AUTHORIZE, authorize)
        self._registry = self._host
        self._state: Literal["closed", "booting", "open", "closing"] = "closed"
        self._running: Runtime | None = None
        self._router: ASGIApp | None = None
        self._stack = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._opener = BY_HOST
        self.departure = Departure(self.settings.drain_timeout_s, self._wake)
        self.withdrawn = False  # whether /readyz says that the process is about to end

    def register(self, plugin: Plugin[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a plugin; wrong options fail here. Inside a plugin: it boots when that one has returned."""
        registration = bind(plugin, *args, **kwargs)
        self._growing("register").plugins.append(registration)

    def decorate(self, key: Key[T], value: T) -> None:
        """Provide a value under a typed key, such as ``STORAGE``; raises ``PluginError`` when there is one already."""
        if key is AUTHORIZE and key in self._host.values:
            raise ConfigError("AUTHORIZE is there twice, by MediaGate(authorize=…) and a plugin: keep one of the two")
        self._growing("decorate").provide(key, value)

    def add_hook(self, name: HookName, hook: Hook) -> None:
        """Add a hook at a named point in an upload's life."""
        self._growing("add_hook").hooks.add(name, hook)

    def add_route(self, path: str, endpoint: Endpoint, *, methods: list[str]) -> None:
        """Add a route below the gate's mount; the core's own routes come first."""
        self._growing("add_route").add_route(path, endpoint, methods)

    def add_check(self, part: str, check: Check) -> None:
        """Add a line to ``mediagate doctor``."""
        self._growing("add_check").checks[part] = check

    def guard_hosts(self) -> None:
        """Refuse foreign host names on loopback addresses, unless ``AUTHORIZE`` is provided; before the gate is open.

        A page of another site can have its own name resolve to 127.0.0.1, and then read whatever is answered there.
        """
        self._growing("guard_hosts").guards_hosts = True

    @property
    def checks(self) -> Mapping[str, Check]:
        """What plugins let ``mediagate doctor`` examine."""
        return self._registry.checks

    def observe(self, observer: Observer) -> None:
        """Tell an observer what the core does from when the gate is open; before that, or inside a plugin."""
        self._growing("observe").observers.append(observer)

    @property
    def observer(self) -> Observer:
        """All observers as one: what a plugin tells it from ``on_ready`` on, all are told."""
        return Observers(self._registry.observers)

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource that closes with the gate, last in, first out; only inside a plugin or ``on_ready``."""
        if self._state != "booting":
            raise PluginError("enter() works while the gate boots: call it inside a plugin or an on_ready hook")
        return await self._stack.enter_async_context(resource)

    def _growing(self, verb: str) -> Registry:
        if self._state in ("open", "closing"):
            raise PluginError(f"{verb}() came after boot: call it before the app starts, or inside a plugin")
        return self._registry

    def __getitem__(self, key: Key[T]) -> T:
        """Return what was provided under a key; raises ``PluginError`` when nothing is (yet)."""
        try:
            value: T = self._registry.values[key]
        except KeyError:
            raise PluginError(f"{key.name} is not provided: the core's defaults are there from on_ready on") from None
        return value

    @property
    def running(self) -> Runtime:
        """The open gate's parts; raises ``PluginError`` while it is closed."""
        if self._running is None:
            raise PluginError("the gate is not open: use its lifespan, or `async with gate:`")
        return self._running

    @property
    def parts(self) -> Parts:
        """What the open gate works with."""
        return self.runtime.parts

    @property
    def jobs_at_once(self) -> int:
        """How many jobs a worker of this gate has in hand at once: one more than it has image processes."""
        return jobs_at_once(self.settings.model_copy(update={"worker": True}))

    async def work(self, job_id: str) -> None:
        """Make one attempt at the job whose turn it is, since this one waits; for engines that run the workers."""
        await self.runtime.worker.attend()

    @property
    def closing(self) -> bool:
        """Whether the gate takes no more uploads because it is closing."""
        return self._state == "closing"

    def withdraw(self) -> None:
        """Answer 503 on ``/readyz`` from now on, so that load balancers go elsewhere; all else goes on as before."""
        self.withdrawn = True

    def begin_closing(self) -> None:
        """Refuse uploads and end event streams from now on; ``close`` does the rest."""
        if self._state == "open":
            self._state = "closing"
            self._wake()

    def _wake(self) -> None:
        if self._running is not None:
            self._running.watch.wake()

    def refuse_when_closing(self) -> None:
        """Raise ``ShuttingDown`` when the gate is closing."""
        if self.closing:
            raise ShuttingDown("the service is restarting; send the upload again in a moment", retry_after_s=5)

    async def authorize(self, request: Request, action: Action) -> Principal | None:
        """Return who makes a request, also as ``request.state.principal``; ``None`` where nobody is asked.

        Not for health, published files and URLs that hold a token. Raises ``Unauthorized`` or ``Forbidden``.
        """
        return await ask_who(self._registry, request, action)

    async def check(self) -> None:
        """Raise ``Unavailable`` unless records, storage, spool and, if this process works, the worker do their work."""
        if self.withdrawn:
            raise ShuttingDown("this process is about to end")
        await self.runtime.readiness.check()

    def base_url(self, request: Request) -> str:
        """Return what links begin with: ``public_base_url``, else the path under which the gate is mounted."""
        root: str = request.scope.get("root_path", "").strip("/")
        # One slash, for two would begin another host's name, and daphne takes root_path from a header.
        return (self.settings.public_base_url or f"/{root}").rstrip("/")

    async def open(self) -> None:
        """Boot; raises ``ConfigError`` or ``PluginError``, with everything closed again."""
        self._begin_booting()
        try:
            self._running = await start(self, self._registry, self._stack)
        except BaseException:
            await self._unwind()
            raise
        served = Routes(self)
        table = RouteTable([*served.core(), *self._registry.routes], served.files())
        guards_hosts = self._registry.guards_hosts and AUTHORIZE not in self._registry.values
        self._router = Entrance(table, self.settings, guards_hosts=guards_hosts)
        self._loop = asyncio.get_running_loop()
        self.departure.begin()
        self._state = "open"

    async def close(self) -> None:
        """Refuse uploads, drain the jobs in flight, close everything in reverse; can be repeated."""
        if self._state not in ("open", "closing"):
            return
        self.begin_closing()
        await self._unwind()

    @asynccontextmanager
    async def assembled(self) -> AsyncIterator[Parts]:
        """Boot the plugins and yield the parts without opening any: for looking at them one by one."""
        self._begin_booting()
        try:
            yield await assemble(self, self._registry)
        finally:
            await self._unwind()

    def _begin_booting(self) -> None:
        if self._state != "closed":
            raise PluginError(f"the gate is open already: {self._opener}")
        self._opener = BY_HOST
        self._state = "booting"
        self._registry = self._host.copy()
        self._stack = AsyncExitStack()

    async def _unwind(self) -> None:
        try:
            await self._stack.aclose()
        finally:
            self.departure.release()
            self._running, self._router, self.withdrawn = None, None, False
            self._registry, self._state = self._host, "closed"

    @contextmanager
    def instead(self, host: Callable[[Registry], Registry], settings: Settings) -> Iterator[None]:
        """Have a closed gate open with other registrations and settings for the length of a block, as tests do."""
        if self._state != "closed":
            raise PluginError(f"the gate is open already: {self._opener}")
        kept, own = self._host, self.settings
        self._host = self._registry = host(kept)
        self.settings = settings
        try:
            yield
            if self._state != "closed":
                raise PluginError(LEFT_OPEN)
        finally:
            self._host = self._registry = kept
            self.settings = own

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """The lifespan for the host: ``Starlette(lifespan=gate.lifespan)``, or ``async with`` inside its own."""
        async with self:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await run_lifespan(self, receive, send)
        elif scope["type"] == "http":
            await answer(self, self._ready_router, scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": "mediagate speaks HTTP"})

    async def _ready_router(self) -> ASGIApp:
        if self._router is None:
            async with self._opening:
                if self._state == "closed" and not self.departure.gone:
                    await self.open()
                    self._opener = BY_REQUEST
                    self.departure.begin(self.close)
                    log.warning(OPENED_LATE)
        if self._router is None or self.departure.gone:
            raise ShuttingDown("the service is restarting", retry_after_s=5)
        if self._loop is not asyncio.get_running_loop():
            raise PluginError(OTHER_LOOP)
        return self._router
