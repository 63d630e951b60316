"""The replaceable parts of a gate, their keys, and the bundle of parts of a running gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from mediagate.config import Settings, Source
from mediagate.images import ImagePool
from mediagate.kernel import Hooks, Key
from mediagate.moderation import Moderator, RemoteModerator, together
from mediagate.observe import Observer
from mediagate.queue import Dispatcher, Queue
from mediagate.records import Records
from mediagate.storage import Storage
from mediagate.values import Action, CallbackForm, EventType, Principal

if TYPE_CHECKING:
    from mediagate.images import Operations

Authorize = Callable[[Request, Action], Awaitable[Principal | None]]
"""Returns the caller, or ``None`` to refuse the request with 401; a raised ``MediagateError`` is the answer."""

AUTHORIZE: Key[Authorize] = Key("AUTHORIZE")
"""Unset: every caller may do everything, and uploads have no owner."""
STORAGE: Key[Storage] = Key("STORAGE")
RECORDS: Key[Records] = Key("RECORDS")
MODERATOR: Key[Moderator] = Key("MODERATOR", join=together)
"""Several plugins may provide one; the value is then all of them as one moderator."""
REMOTE_MODERATOR: Key[RemoteModerator] = Key("REMOTE_MODERATOR")
QUEUE: Key[Queue] = Key("QUEUE")
OPERATIONS: Key[Operations] = Key("OPERATIONS")
"""The operations of pipelines; unset: this gate runs none."""
CALLBACKS: Key[bool] = Key("CALLBACKS")
"""Whether a plugin calls the ``callbackUrl`` of jobs; unset: uploads and pipelines with one are refused."""
CALLBACK_FORMS: Key[Mapping[str, CallbackForm]] = Key("CALLBACK_FORMS", join=lambda one, other: {**one, **other})
"""How the calls of ``callbackUrl`` are worded for jobs of each dialect; several plugins may provide some."""
EVENTS: Key[Collection[EventType]] = Key("EVENTS")
"""The events to write to the outbox, for a plugin that delivers them; unset: none."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The components of an open gate."""

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
    operations: Operations | None = None
    callbacks: bool = False
    """Whether a plugin calls the ``callbackUrl`` of jobs."""
    callback_forms: Mapping[str, CallbackForm] = field(default_factory=dict)
    """By the names of dialects."""
    credits: Mapping[str, int] = field(default_factory=dict)
    """The prices of uploads (``upload``) and of operations."""
