"""An open gate's moving parts, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from mediagate.api.readiness import Readiness
from mediagate.config import Settings, Source, keep_folder, private_sources
from mediagate.errors import ConfigError, ModerationFailed, PluginError
from mediagate.images import ForkServer, ImagePool
from mediagate.intake import Admission, Backlog, Patience
from mediagate.jobs import Janitor, Watch, Worker, recognize_files
from mediagate.kernel import Registry
from mediagate.moderation import Moderator, RemoteModerator, input_edge, names_of, policy_problems
from mediagate.observe import Observers
from mediagate.parts import EVENTS, MODERATOR, QUEUE, RECORDS, REMOTE_MODERATOR, STORAGE, Parts
from mediagate.queue import Dispatcher, InProcessQueue
from mediagate.records import PrismaRecords
from mediagate.storage import FilesystemStorage, FileUrls, url_secret
from mediagate.storage.observed import observed

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mediagate.gate import MediaGate

log = logging.getLogger("mediagate")


class Runtime:
    """What exists only while a gate is open."""

    def __init__(self, parts: Parts, spool_dir: Path, urls: FileUrls) -> None:
        self.parts = parts
        self.urls = urls
        self.spool_dir = spool_dir
        self.watch = Watch(parts.records, parts.observer)
        self.backlog = Backlog(parts.records, least_ms=parts.settings.poll_after_ms)
        self.admission = Admission(parts, self.backlog, spool_dir)
        self.worker = Worker(parts, self.watch, concurrency=jobs_at_once(parts.settings))
        self.janitor = Janitor(parts, spool_dir)
        self.readiness = Readiness(parts, spool_dir, alive=self._works)

    @property
    def patience(self) -> Patience:
        """How long the bodies of uploads are waited for."""
        settings = self.parts.settings
        return Patience(settings.upload_timeout_s, settings.upload_grace_s, settings.min_upload_rate)

    def _works(self) -> bool:
        return self.worker.alive or not self.parts.settings.worker


async def start(gate: MediaGate, registry: Registry, stack: AsyncExitStack) -> Runtime:
    """Boot plugins, fill what is unset with the embedded defaults, check, open, ``on_ready``, start the worker.

    Everything that is opened is put on the stack, so closing mirrors opening, also when this fails half way.
    """
    # First of all, because it takes longest to be ready, and does so beside everything else.
    server, gate.fork_server = gate.fork_server or ForkServer(), None
    stack.push_async_callback(asyncio.to_thread, server.close)
    server.start()
    parts = await assemble(gate, registry, server)
    spool_dir = parts.settings.data_dir / "spool"
    await anyio.Path(spool_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    stack.push_async_callback(parts.records.close)
    stack.push_async_callback(parts.images.close)
    await _side_by_side(parts.records.open(), parts.images.open())
    await recognize_files(replace(parts, storage=registry.values[STORAGE]))
    secret = await asyncio.to_thread(url_secret, parts.settings)
    urls = FileUrls(parts.sources, parts.storage, secret=secret, ttl_s=parts.settings.url_ttl_s)
    running = Runtime(parts, spool_dir, urls)
    stack.push_async_callback(running.watch.close)
    stack.push_async_callback(running.readiness.close)
    stack.push_async_callback(registry.hooks.run, "on_close", gate)
    await registry.hooks.run("on_ready", gate)
    stack.push_async_callback(parts.queue.stop)
    parts.queue.start()
    if parts.settings.worker:
        stack.push_async_callback(running.janitor.stop)
        stack.push_async_callback(lambda: running.worker.stop(drain_s=gate.departure.left_s))
        running.worker.start()
        running.janitor.start()
    return running


async def _side_by_side(*opening: Coroutine[Any, Any, None]) -> None:
    """Await all; the first that fails ends the others, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in opening:
                group.create_task(one)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def assemble(gate: MediaGate, registry: Registry, server: ForkServer | None = None) -> Parts:
    """Boot the plugins and fill what is unset with the embedded defaults; nothing of the core's is opened yet."""
    passed_through = gate.settings.public_url is not None
    await asyncio.to_thread(keep_folder, gate.settings.data_dir, passed_through=passed_through)
    await _boot_plugins(gate, registry.plugins, registry, set())
    return _parts(gate.sources, gate.settings, registry, server)


def image_processes(settings: Settings) -> int:
    """Return how many image processes this gate runs: none without a worker, else one per core unless told."""
    if not settings.worker:
        return 0
    return settings.image_processes or len(os.sched_getaffinity(0))


def decoders(settings: Settings) -> int:
    """Return how many processes decode uploads before they are accepted: as many as may render, and apart from them."""
    return image_processes(settings.model_copy(update={"worker": True})) if settings.decode_before_202 else 0


def jobs_at_once(settings: Settings) -> int:
    """Return how many jobs a worker has in hand: one beyond its image processes keeps storage and records busy too."""
    return image_processes(settings) + 1


async def _boot_plugins(gate: MediaGate, level: list[Any], registry: Registry, booted: set[str]) -> None:
    for registration in list(level):
        if registration.name in booted:
            raise PluginError(f"plugin {registration.name!r} is registered twice")
        if registry.leaves_out(registration):
            booted.add(registration.name)
            continue
        missing = [name for name in registration.requires if name not in booted]
        if missing:
            raise PluginError(
                f"plugin {registration.name!r} requires {', '.join(missing)}: register it first; plugins boot in order"
            )
        registry.plugins = []
        await registration.start(gate)
        booted.add(registration.name)
        await _boot_plugins(gate, registry.plugins, registry, booted)
        if absent := set(registration.provides) - {key.name for key in registry.values}:
            raise PluginError(
                f"plugin {registration.name!r} says that it provides {', '.join(sorted(absent))}: decorate it"
            )


def _parts(sources: Mapping[str, Source], settings: Settings, registry: Registry, server: ForkServer | None) -> Parts:
    values = registry.values
    remote_moderator = values.get(REMOTE_MODERATOR)
    moderator = _moderator(sources, settings, values.get(MODERATOR), remote_moderator)
    if STORAGE not in values:
        values[STORAGE] = FilesystemStorage(
            settings.data_dir / "files", public_url=settings.public_url, private_sources=private_sources(sources)
        )
    if RECORDS not in values:
        embedded = settings.database_url is None
        values[RECORDS] = PrismaRecords(
            settings.records_url,
            engine_url=settings.database_engine_url,
            migrate=embedded if settings.migrate is None else settings.migrate,
            connections=settings.database_connections,
        )
    if QUEUE not in values:
        values[QUEUE] = InProcessQueue()
    observer = Observers(registry.observers)
    images = ImagePool(
        processes=image_processes(settings),
        decoders=decoders(settings),
        memory_bytes=settings.image_memory_bytes,
        timeout_s=settings.image_timeout_s,
        moderator=moderator,
        private=(settings.data_dir,),
        server=server,
        observer=observer,
    )
    records, queue, events = values[RECORDS], Dispatcher(values[QUEUE]), values.get(EVENTS, ())
    storage = observed(values[STORAGE], observer) if registry.observers else values[STORAGE]
    return Parts(
        sources,
        settings,
        registry.hooks,
        storage,
        records,
        queue,
        images,
        events=events,
        observer=observer,
        moderator=moderator,
        remote_moderator=remote_moderator,
    )


def _moderator(
    sources: Mapping[str, Source], settings: Settings, moderator: Moderator | None, remote: RemoteModerator | None
) -> Moderator | None:
    registered = [one for one in (moderator, remote) if one is not None]
    if settings.moderation == "off":
        if registered:
            raise ConfigError('moderation="off" is set and a moderator is registered: remove one of the two')
        ruled = [name for name, source in sources.items() if source.reject or source.review]
        if ruled:
            raise ConfigError(f'moderation="off" is set, yet these sources have thresholds: {", ".join(ruled)}')
        log.warning("moderation is off: every decodable picture is published")
        return None
    if not registered:
        raise ConfigError(
            "no moderator is registered: add gate.register(onnx_moderation, model=…) or gate.register(nudenet), "
            'or say moderation="off" (MEDIAGATE_MODERATION=off) to publish every picture unseen'
        )
    problems = policy_problems(sources, names_of(*registered))
    for one in registered:
        try:
            input_edge(one)
        except ModerationFailed as exc:
            problems.append(f"moderator: {exc.detail}")
    if problems:
        raise ConfigError(problems)
    return moderator
