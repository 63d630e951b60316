"""The parts of a gate: those that plugins provide, and the embedded defaults for the rest."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec

from mediagate.config import Settings, Source
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.images import ForkServer, ImagePool
from mediagate.intake import check_credits
from mediagate.kernel import Registry
from mediagate.moderation import Moderator, RemoteModerator, input_edge, members_of, selection_problems, together
from mediagate.observe import Observers
from mediagate.parts import (
    AUTHORIZE,
    CALLBACK_FORMS,
    CALLBACKS,
    EVENTS,
    MODERATOR,
    OPERATIONS,
    QUEUE,
    RECORDS,
    REMOTE_MODERATOR,
    STORAGE,
    Parts,
)
from mediagate.queue import Dispatcher, InProcessQueue
from mediagate.storage import FilesystemStorage, PrivateSources, check_prefixes, observed

log = logging.getLogger("mediagate")


def assemble(
    sources: Mapping[str, Source],
    settings: Settings,
    registry: Registry,
    server: ForkServer | None = None,
    *,
    credits: Mapping[str, int],
) -> Parts:
    """Return the unopened parts of a gate whose plugins have booted, with defaults for the missing ones.

    Raises ``ConfigError``.
    """
    values = registry.values
    if any(spec.steps for source in sources.values() for spec in source.variants.values()):
        from mediagate.images import check_steps  # lazily, with Pillow and all operations

        check_steps(sources, values.get(OPERATIONS))
    _check_documents(sources)
    check_credits(credits, values.get(OPERATIONS, ()))
    remote_moderator = values.get(REMOTE_MODERATOR)
    moderator = _moderator(sources, settings, values.get(MODERATOR), remote_moderator)
    observer = Observers(registry.observers)
    if STORAGE not in values:
        values[STORAGE] = FilesystemStorage(
            settings.data_dir / "files",
            public_url=settings.public_url,
            private_sources=PrivateSources(sources),
            key_prefixes=settings.key_prefixes,
        )
    check_prefixes(values[STORAGE], settings.key_prefixes)
    if registry.observers:
        values[STORAGE] = observed(values[STORAGE], observer)
    if RECORDS not in values:
        from mediagate.records import PrismaRecords  # lazily, for hosts that import mediagate and do not open a gate

        embedded = settings.database_url is None
        values[RECORDS] = PrismaRecords(
            settings.records_url,
            engine_url=settings.database_engine_url,
            migrate=embedded if settings.migrate is None else settings.migrate,
            connections=settings.database_connections,
        )
    queue = Dispatcher(values.get(QUEUE) or InProcessQueue())
    values[QUEUE] = queue
    images = ImagePool(
        processes=image_processes(settings),
        decoders=decoders(settings),
        memory_bytes=settings.image_memory_bytes,
        timeout_s=settings.image_timeout_s,
        moderator=moderator,
        private=(settings.data_dir,),
        server=server,
        observer=observer,
        operations=values.get(OPERATIONS),
    )
    return Parts(
        sources,
        settings,
        registry.hooks,
        values[STORAGE],
        values[RECORDS],
        queue,
        images,
        events=values.get(EVENTS, ()),
        observer=observer,
        moderator=moderator,
        remote_moderator=remote_moderator,
        authorize=values.get(AUTHORIZE),
        operations=values.get(OPERATIONS),
        callbacks=values.get(CALLBACKS, False),
        callback_forms=values.get(CALLBACK_FORMS, {}),
        credits=credits,
    )


def _check_documents(sources: Mapping[str, Source]) -> None:
    """Raise ``ConfigError`` if a source accepts documents and nothing is installed to read them."""
    accepting = [name for name, source in sources.items() if "pdf" in source.formats]
    if accepting and find_spec("pypdfium2") is None:
        raise ConfigError(
            f"these sources accept PDF files, which cannot be read here: {', '.join(accepting)}; "
            'pip install "mediagate[pdf]", or leave pdf out of their formats'
        )


def image_processes(settings: Settings) -> int:
    """Return the number of image processes: none without a worker, by default one per core."""
    if not settings.worker:
        return 0
    return settings.image_processes or len(os.sched_getaffinity(0))


def decoders(settings: Settings) -> int:
    """Return the number of processes that decode uploads before acceptance: as many as image processes."""
    return image_processes(settings.model_copy(update={"worker": True})) if settings.decode_before_202 else 0


def jobs_at_once(settings: Settings) -> int:
    """Return the worker's concurrency: one job beyond its image processes keeps storage and records busy too."""
    return image_processes(settings) + 1


def _moderator(
    sources: Mapping[str, Source], settings: Settings, moderator: Moderator | None, remote: RemoteModerator | None
) -> Moderator | None:
    registered = [one for one in (moderator, remote) if one is not None]
    if settings.moderation == "off":
        if registered:
            raise ConfigError('moderation="off" is set but a moderator is registered: remove one of the two')
        ruled = [name for name, source in sources.items() if source.reject or source.review or source.moderators]
        if ruled:
            raise ConfigError(
                f'moderation="off" is set but these sources have thresholds or moderators: {", ".join(ruled)}'
            )
        log.warning("moderation is off: every decodable picture is published")
        return None
    if not registered:
        raise ConfigError(
            "no moderator is registered: add gate.register(open_nsfw) or gate.register(onnx_moderation, model=…), "
            'or set moderation="off" (MEDIAGATE_MODERATION=off) to publish every picture unmoderated'
        )
    moderator = None if moderator is None else together(moderator)
    problems = selection_problems(sources, moderator, remote)
    for one in (*members_of(moderator).values(), *filter(None, (remote,))):
        try:
            input_edge(one)
        except ModerationFailed as exc:
            problems.append(f"moderator: {exc.detail}")
    if problems:
        raise ConfigError(problems)
    return moderator
