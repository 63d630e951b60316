"""``MediaGate``: the kernel, the calls and the ASGI app in one object."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Literal, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mediagate.api import Calls, Trial, assemble, open_runtime, open_trial
from mediagate.config import Settings, Source, check_sources, keep_folder
from mediagate.errors import ConfigError, PluginError, ShuttingDown
from mediagate.http import (
    BY_REQUEST,
    OPENED_LATE,
    OTHER_LOOP,
    Downloads,
    accepted,
    accepted_batch,
    answer,
    ask_who,
    downloaded,
    link_base,
    receive_batch,
    receive_pipeline,
    routing,
    run_lifespan,
)
from mediagate.images import ForkServer
from mediagate.intake import BatchReception, FormLimits, Reception
from mediagate.kernel import Departure, Kernel, Key, Registry
from mediagate.parts import AUTHORIZE, Authorize, Parts
from mediagate.values import Action, BatchState, Job, Principal, Status

log = logging.getLogger("mediagate")

T = TypeVar("T")


class MediaGate(Kernel, Calls):
    """A mountable sub-app that accepts image uploads and publishes only the safe ones.

    ``sources`` maps each source type to its policy. Settings come from ``settings``, by default from ``MEDIAGATE_*``;
    ``moderation`` overrides the setting of that name. ``authorize`` identifies the caller of a request and limits each
    caller to its own uploads; without it, and without a plugin that provides one, there is no access control.
    ``credits`` are prices: of an upload (``upload``), and of the operations of pipelines by their names. The gate does
    not open with another name. Raises ``ConfigError``.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, Source],
        settings: Settings | None = None,
        moderation: Literal["on", "off"] | None = None,
        authorize: Authorize | None = None,
        credits: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        check_sources(sources)
        self.sources = dict(sources)
        self.credits = dict(credits or {})
        self.settings = settings or Settings()
        if moderation is not None:
            self.settings = self.settings.model_copy(update={"moderation": moderation})
        self.fork_server: ForkServer | None = None
        """The parent of the gate's image processes; it may be started before the gate opens."""
        self.departure = Departure(self.settings.drain_timeout_s, self._wake)
        if authorize is not None:
            self._host.provide(AUTHORIZE, authorize)
        self._router: ASGIApp | None = None
        self._downloads = Downloads(self.settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()

    def decorate(self, key: Key[T], value: T) -> None:
        """Provide a value under a typed key, such as ``STORAGE``; raises ``PluginError`` if the key is taken.

        Several plugins may provide ``MODERATOR``: those that its source names judge a picture, by default all.
        """
        if key is AUTHORIZE and key in self._host.values:
            raise ConfigError("AUTHORIZE is provided by MediaGate(authorize=…) and by a plugin: keep one of the two")
        super().decorate(key, value)

    def use(self, *, worker: bool) -> None:
        """Process jobs in this process or leave them to workers; raises ``PluginError`` once the gate is open."""
        self._growing("use")
        self.settings = self.settings.model_copy(update={"worker": worker})

    async def authorize(self, request: Request, action: Action) -> Principal | None:
        """Return the caller of a request and set ``request.state.principal``; ``None`` without access control.

        Not called for health, published files and URLs with a token. Raises ``Unauthorized`` or ``Forbidden``.
        """
        return await ask_who(self.parts, request, action)

    def base_url(self, request: Request) -> str:
        """Return the prefix of links: ``public_base_url``, by default the path under which the gate is mounted."""
        return link_base(self.settings, request)

    def receive_pipeline(
        self, request: Request, source_type: str, *, dry_run: bool = False
    ) -> AbstractAsyncContextManager[Reception]:
        """Authenticate the caller of a request, admit it, and receive its files and its JSON for the length of a block.

        The limits are those of ``POST /upload`` and of the source; a dry run uses no ``Idempotency-Key``. Raises the
        errors of ``POST /upload``.
        """
        return receive_pipeline(self, request, source_type, dry_run=dry_run)

    def receive_batch(
        self, request: Request, source_type: str, limits: FormLimits, *, dry_run: bool = False
    ) -> AbstractAsyncContextManager[BatchReception]:
        """Receive the request of a caller for several pipelines; else as ``receive_pipeline``."""
        return receive_batch(self, request, source_type, limits, dry_run=dry_run)

    def accepted_batch(self, request: Request, state: BatchState, ignored: Sequence[str] = ()) -> Response:
        """Return the response 202 of a batch: its jobs, where and when to poll its state, and the ignored fields."""
        return accepted_batch(self, request, state, ignored)

    async def accepted(self, request: Request, job: Job, ignored: Sequence[str] = ()) -> Response:
        """Return the response 202 of a job: where and when to poll its status, and the ignored fields."""
        return await accepted(self, request, job, ignored)

    def download(self, status: Status, *, output: str | None = None) -> Response:
        """Return the response with the files of a pipeline, or with those of one output; several are a ZIP archive.

        Raises ``JobConflict`` if there are none, or none yet, and ``InvalidParameter`` if none has this name.
        """
        return downloaded(self, self._downloads, status, output)

    async def seconds_left(self, job: Job) -> int | None:
        """Return the estimated seconds until the end of a job, ``None`` if it has ended or nothing is known."""
        return await self.runtime.forecast.seconds_left(job)

    def begin_closing(self) -> None:
        """Refuse uploads and end event streams from now on; ``close`` completes the shutdown."""
        super().begin_closing()
        if self.closing:
            self.runtime.begin_closing()

    def _wake(self) -> None:
        if self._runtime is not None:
            self._runtime.watch.wake()

    async def _prepare(self, stack: AsyncExitStack) -> None:
        # Started first: it takes longest to become ready, and does so concurrently with the rest.
        server = self.fork_server = self.fork_server or ForkServer()
        stack.push_async_callback(asyncio.to_thread, server.close)
        server.start()
        await self._keep_folder()

    async def _assemble(self, stack: AsyncExitStack) -> None:
        parts = assemble(self.sources, self.settings, self._registry, self.fork_server, credits=self.credits)
        self._runtime = await open_runtime(parts, self.departure, stack)

    async def _start(self, stack: AsyncExitStack) -> None:
        self.runtime.start(stack)
        self._downloads = Downloads(self.settings)
        self._router = routing(self, self._registry, self._downloads)
        self._loop = asyncio.get_running_loop()
        self.departure.begin()

    async def _unwind(self) -> None:
        try:
            await super()._unwind()
        finally:
            self.departure.release()
            self._runtime, self._router, self.fork_server = None, None, None

    @asynccontextmanager
    async def assembled(self) -> AsyncIterator[Parts]:
        """Boot the plugins and yield the parts unopened, to inspect them one by one."""
        await self._keep_folder()
        async with self._booted():
            yield assemble(self.sources, self.settings, self._registry, credits=self.credits)

    @asynccontextmanager
    async def trial(self) -> AsyncIterator[Trial]:
        """Boot the plugins and provide the image processes, to run recipes without recording anything."""
        async with self.assembled() as parts, open_trial(parts) as trial:
            yield trial

    @contextmanager
    def instead(
        self, host: Callable[[Registry], Registry], settings: Settings, sources: Mapping[str, Source]
    ) -> Iterator[None]:
        """Replace the registrations, settings and sources of a closed gate within a block, as tests do."""
        own = self.settings, self.sources
        with self._instead(host(self._host)):
            self.settings, self.sources = settings, dict(sources)
            try:
                yield
            finally:
                self.settings, self.sources = own

    async def _keep_folder(self) -> None:
        passed_through = self.settings.public_url is not None
        await asyncio.to_thread(keep_folder, self.settings.data_dir, passed_through=passed_through)

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
