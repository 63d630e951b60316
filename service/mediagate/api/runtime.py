"""The runtime: the parts and background loops of an open gate, and their start and stop order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from mediagate.api.defaults import jobs_at_once
from mediagate.api.forecast import Forecast
from mediagate.api.readiness import Readiness
from mediagate.errors import ShuttingDown
from mediagate.images import load_formats
from mediagate.intake import Backlog, Intake
from mediagate.jobs import Janitor, Watch, Worker, recognize_files
from mediagate.kernel import Departure
from mediagate.parts import Parts
from mediagate.storage import FileUrls, unobserved, url_secrets
from mediagate.values import UrlOf, utcnow


class Runtime:
    """The objects that exist only while a gate is open."""

    def __init__(self, parts: Parts, departure: Departure, spool_dir: Path, urls: FileUrls) -> None:
        self.parts = parts
        self.departure = departure
        self.urls = urls
        self.spool_dir = spool_dir
        self.watch = Watch(parts.records, parts.observer)
        self.backlog = Backlog(parts.records, least_ms=parts.settings.poll_after_ms)
        self.forecast = Forecast(parts.records, self.backlog)
        self.intake = Intake(parts, self.backlog, spool_dir)
        self.worker = Worker(parts, self.watch, concurrency=jobs_at_once(parts.settings))
        self.janitor = Janitor(parts, spool_dir)
        self.readiness = Readiness(parts, spool_dir, alive=self._works)
        self.closing = False
        """Whether the gate is closing and refuses uploads."""
        self.withdrawn = False
        """Whether ``/readyz`` answers 503 because the process is about to stop."""

    def begin_closing(self) -> None:
        """Refuse uploads and end event streams from now on."""
        self.closing = True
        self.watch.wake()

    def refuse_when_closing(self) -> None:
        """Raise ``ShuttingDown`` when the gate is closing."""
        if self.closing:
            raise ShuttingDown("the service is restarting; send the upload again in a moment", retry_after_s=5)

    def link_base(self, base_url: str) -> str:
        """Return the prefix of links: ``base_url``, else ``public_base_url``, else an empty string."""
        return base_url or (self.parts.settings.public_base_url or "").rstrip("/")

    def url_of(self, base_url: str) -> UrlOf:
        """Return a function that maps a file's key to its URL, signed now if the file is private."""
        return partial(self.urls.of, base_url=self.link_base(base_url), now=utcnow())

    async def check(self) -> None:
        """Raise ``Unavailable`` unless records, storage, spool and this process's worker, if any, are operational."""
        self.refuse_when_closing()
        if self.withdrawn:
            raise ShuttingDown("this process is about to stop; use another one")
        await self.readiness.check()

    def start(self, stack: AsyncExitStack) -> None:
        """Start dispatching, the janitor (without a worker for the spool only) and, if configured, the worker."""
        settings = self.parts.settings
        stack.push_async_callback(self.parts.queue.stop)
        self.parts.queue.start()
        stack.push_async_callback(self.janitor.stop)
        if not settings.worker:
            self.janitor.start_spool()
            return
        stack.push_async_callback(lambda: self.worker.stop(drain_s=self.departure.left_s))
        self.worker.start()
        self.janitor.start()

    def _works(self) -> bool:
        return self.worker.alive or not self.parts.settings.worker


async def open_runtime(parts: Parts, departure: Departure, stack: AsyncExitStack) -> Runtime:
    """Open the records and the image processes and return the runtime; the stack closes everything in reverse order.

    Raises ``ConfigError`` and ``Unavailable``.
    """
    spool_dir = parts.settings.data_dir / "spool"
    await anyio.Path(spool_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    stack.push_async_callback(parts.records.close)
    stack.push_async_callback(parts.images.close)
    await _concurrently(parts.records.open(), parts.images.open(), asyncio.to_thread(load_formats))
    await recognize_files(replace(parts, storage=unobserved(parts.storage)))
    secrets = await asyncio.to_thread(url_secrets, parts.settings)
    urls = FileUrls(parts.sources, parts.storage, secrets=secrets, ttl_s=parts.settings.url_ttl_s)
    runtime = Runtime(parts, departure, spool_dir, urls)
    stack.push_async_callback(runtime.watch.close)
    stack.push_async_callback(runtime.readiness.close)
    return runtime


async def _concurrently(*opening: Coroutine[Any, Any, None]) -> None:
    """Await all coroutines concurrently; the first failure cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in opening:
                group.create_task(one)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
