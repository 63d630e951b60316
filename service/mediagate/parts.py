"""The replaceable parts of a gate, their keys, and the bundle of them that a running gate works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from mediagate.config import Settings, Source
from mediagate.images import ImagePool
from mediagate.kernel import Hooks, Key
from mediagate.moderation import Moderator, RemoteModerator
from mediagate.observe import Observer
from mediagate.queue import Dispatcher, Queue
from mediagate.records import Records
from mediagate.storage import Storage
from mediagate.values import Action, EventType, Principal

Authorize = Callable[[Request, Action], Awaitable[Principal | None]]
"""Returns who asks, or ``None`` to refuse; raising a ``MediagateError`` refuses with that error."""

AUTHORIZE: Key[Authorize] = Key("AUTHORIZE")
"""Unset: everybody may do everything, and nobody owns anything."""
STORAGE: Key[Storage] = Key("STORAGE")
RECORDS: Key[Records] = Key("RECORDS")
MODERATOR: Key[Moderator] = Key("MODERATOR")
REMOTE_MODERATOR: Key[RemoteModerator] = Key("REMOTE_MODERATOR")
QUEUE: Key[Queue] = Key("QUEUE")
EVENTS: Key[Collection[EventType]] = Key("EVENTS")
"""The events that are written to the outbox, for a plugin that passes them on; unset: none."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that an open gate works with."""

    sources: Mapping[str, Source]
    settings: Settings
    hooks: Hooks
    storage: Storage
    records: Records
    queue: Dispatcher
    images: ImagePool
    events: Collection[EventType] = ()
    observer: Observer = Observer()
    moderator: Moderator | None = None
    remote_moderator: RemoteModerator | None = None
    authorize: Authorize | None = None
