"""Webhooks: signed HTTP messages about the results of uploads, stored until they are delivered.

``pip install "mediagate[webhooks]"``. An event is written in the same transaction as the change that it reports, and
processes with a worker deliver it at least once; a receiver recognizes a repeated event by its ``webhook-id``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mediagate import (
    CALLBACKS,
    EVENTS,
    RECORDS,
    DirectUpload,
    EventType,
    IncomingBatch,
    IncomingUpload,
    MediaGate,
    plugin,
)
from mediagate.errors import ConfigError, InvalidParameter
from mediagate.records import Database
from mediagate_plugins.webhooks.admin import WEBHOOKS, Webhooks
from mediagate_plugins.webhooks.deliveries import Deliveries, Delivery, DeliveryStatus, Replayed
from mediagate_plugins.webhooks.links import link_problem
from mediagate_plugins.webhooks.options import Callbacks, Endpoint
from mediagate_plugins.webhooks.schema import event_schema
from mediagate_plugins.webhooks.signatures import key_of
from mediagate_plugins.webhooks.stops import stopped_of

if TYPE_CHECKING:
    from mediagate.outbound import Poster

__all__ = ["WEBHOOKS", "Callbacks", "Delivery", "DeliveryStatus", "Endpoint", "Replayed", "Webhooks", "webhooks"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LONGEST_TIMEOUT_S, LONGEST_KEEP_DAYS = 3600, 36_500
SHARED = "it shares a secret with the callbacks, whose receivers could sign messages to it; give it its own secret"


@plugin("webhooks")
async def webhooks(
    gate: MediaGate,
    *,
    endpoints: Mapping[str, Endpoint] | None = None,
    callbacks: Callbacks | None = None,
    timeout_s: float = 15.0,
    result_max_bytes: int = 0,
    keep_days: float = 30.0,
    ca_file: str | Path | None = None,
) -> None:
    """Report the results of uploads to ``endpoints``, by names of your choice, and to the ``callbackUrl`` of uploads.

    ``timeout_s`` limits one whole attempt. The event of a completed job contains its largest variant of at most
    ``result_max_bytes`` bytes. Delivered events are deleted after ``keep_days``. ``ca_file`` has certificate
    authorities (PEM) to trust in addition to the system's. Raises ``ConfigError``, also when an endpoint shares a
    secret with the callbacks.
    """
    receivers = dict(endpoints or {})
    problems = [f"the endpoint {n!r}: use a-z, 0-9, - and _" for n in receivers if not _NAME.fullmatch(n)]
    if "callback" in receivers:
        problems.append("the endpoint 'callback': this name is reserved for the callbackUrl of uploads; use another")
    if not receivers and callbacks is None:
        problems.append("give endpoints, callbacks or both")
    problems += [f"the endpoint {n!r}: {SHARED}" for n in receivers if _shares_a_secret(receivers[n], callbacks)]
    if not 0 < timeout_s <= LONGEST_TIMEOUT_S or not 0 < keep_days <= LONGEST_KEEP_DAYS or result_max_bytes < 0:
        problems.append(
            f"timeout_s must be above 0 and at most {LONGEST_TIMEOUT_S:,}, keep_days above 0 and at most "
            f"{LONGEST_KEEP_DAYS:,}, result_max_bytes not below 0"
        )
    if problems:
        raise ConfigError([f"webhooks: {problem}" for problem in problems])
    # Each poster resolves names in its own threads, so that hosts named by uploads cannot delay endpoints.
    poster, callback_poster = _posters(timeout_s, ca_file)
    await gate.enter(poster)
    await gate.enter(callback_poster)
    gate.decorate(EVENTS, _wanted(receivers, callbacks))
    if callbacks is not None:
        gate.decorate(CALLBACKS, True)
        _add_callback_checks(gate, callbacks)
    schema = event_schema()

    async def show_schema(request: Request) -> Response:
        return JSONResponse(schema, media_type="application/schema+json")

    gate.add_route("/webhooks/event-schema", show_schema, methods=["GET"])

    async def examine() -> str:
        if problem := link_problem(gate):
            raise ConfigError(problem)
        for name, endpoint in receivers.items():
            await poster.examine(f"webhooks: the endpoint {name!r}", endpoint.target, endpoint.networks)
        calls = "none" if callbacks is None else ", ".join(callbacks.hosts or ("any public host",))
        return (
            f"{len(receivers)} endpoints, their hosts resolve to allowed addresses, "
            f"{await stopped_of(gate[RECORDS], receivers)}; callbacks to: {calls}"
        )

    async def ready(gate: MediaGate) -> None:
        from mediagate_plugins.webhooks.attempt import Attempts
        from mediagate_plugins.webhooks.sender import Sender

        if problem := link_problem(gate):
            raise ConfigError(problem)
        database = Database.of(gate[RECORDS], "webhooks")
        deliveries = Deliveries(database, receivers, callbacks=callbacks is not None)
        attempts = Attempts(gate, poster, callback_poster, receivers, callbacks, result_max_bytes=result_max_bytes)
        keep = timedelta(days=keep_days)
        sender = Sender(
            gate[RECORDS],
            deliveries,
            attempts,
            receivers,
            callbacks,
            gate.parts.callback_forms,
            gate.observer,
            timeout_s=timeout_s,
            keep=keep,
        )
        gate.decorate(WEBHOOKS, Webhooks(deliveries, sender, receivers))
        if gate.settings.worker:
            gate.add_hook("on_end", sender.look)
            gate.add_hook("on_deleted", sender.look)
            await gate.enter(sender.running(drain_s=gate.settings.drain_timeout_s))

    gate.add_check("webhooks", examine)
    gate.add_hook("on_ready", ready)


def _shares_a_secret(endpoint: Endpoint, callbacks: Callbacks | None) -> bool:
    keys = {key_of(secret) for secret in callbacks.secrets} if callbacks is not None else set()
    return any(key_of(secret) in keys for secret in endpoint.secrets)


def _add_callback_checks(gate: MediaGate, callbacks: Callbacks) -> None:
    async def check_upload(upload: IncomingUpload) -> None:
        _check_callback(upload.callback_url, callbacks)

    async def check_declaration(upload: DirectUpload) -> None:
        _check_callback(upload.ticket.callback_url, callbacks)

    async def check_batch(batch: IncomingBatch) -> None:
        _check_callback(batch.callback_url, callbacks)

    # Checked at declaration and again at completion, when the configured hosts may have changed.
    gate.add_hook("pre_declare", check_declaration)
    gate.add_hook("pre_upload", check_upload)
    gate.add_hook("pre_batch", check_batch)


def _check_callback(url: str | None, callbacks: Callbacks) -> None:
    if url is not None:
        try:
            callbacks.read(url)
        except ValueError as exc:
            raise InvalidParameter(f"callbackUrl: {exc}") from None


def _wanted(endpoints: Mapping[str, Endpoint], callbacks: Callbacks | None) -> frozenset[EventType]:
    wanted = {EventType(kind) for endpoint in endpoints.values() for kind in endpoint.events}
    return frozenset(wanted if callbacks is None else wanted | (set(EventType) - {EventType.MEDIA_DELETED}))


def _posters(timeout_s: float, ca_file: str | Path | None) -> tuple[Poster, Poster]:
    try:
        from mediagate.outbound import Poster, tls_context  # imported lazily: its library is an extra
    except ImportError as exc:
        raise ConfigError(f'webhooks need httpcore2: pip install "mediagate[webhooks]" ({exc})') from None
    try:
        tls = tls_context(str(ca_file) if ca_file is not None else None)
    except OSError as exc:
        raise ConfigError(f"webhooks: ca_file {str(ca_file)!r} has no readable PEM certificates ({exc})") from None
    return Poster(timeout_s=timeout_s, tls=tls), Poster(timeout_s=timeout_s, tls=tls)
