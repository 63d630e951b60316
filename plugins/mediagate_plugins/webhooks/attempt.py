"""One delivery attempt: make the body, sign it, send it, and report the outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mediagate import Event, MediaGate
from mediagate.outbound import Network, NotSent, Poster, Target
from mediagate_plugins.webhooks.body import body_of, dialect_body_of
from mediagate_plugins.webhooks.callback_names import is_callback
from mediagate_plugins.webhooks.callback_urls import call_of, has_words
from mediagate_plugins.webhooks.options import Callbacks, Endpoint
from mediagate_plugins.webhooks.schedule import retry_after_s
from mediagate_plugins.webhooks.signatures import signed_headers

GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt: an ``answer``, or the ``error`` because of which it failed."""

    answer: int | None = None
    error: str | None = None
    asked_s: float | None = None
    """The pause that the receiver requested."""
    final: bool = False
    """Whether a retry is pointless."""


class Attempts:
    """Sends single events; nothing confidential about them leaves this class."""

    def __init__(
        self,
        gate: MediaGate,
        poster: Poster,
        callback_poster: Poster,
        endpoints: Mapping[str, Endpoint],
        callbacks: Callbacks | None,
        *,
        result_max_bytes: int,
    ) -> None:
        self._gate = gate
        self._poster = poster
        self._callback_poster = callback_poster
        self._endpoints = endpoints
        self._callbacks = callbacks
        self._result_max_bytes = result_max_bytes

    async def make(self, event: Event, endpoint: str, now: datetime) -> Outcome:
        """Send an event to an endpoint; raises ``Unavailable`` when storage or database fail while making the body."""
        if is_callback(endpoint):
            assert self._callbacks is not None  # without callbacks no deliveries to them are due
            return await self._call(event, self._callbacks, now)
        known, body = self._endpoints[endpoint], await self._body(event)
        return await self._send(event, body, self._poster, known.target, known.secrets, known.networks, now)

    async def _call(self, event: Event, callbacks: Callbacks, now: datetime) -> Outcome:
        call = await call_of(self._gate.parts.records, event)
        if call is None:
            return Outcome(error="the upload has no callbackUrl any more", final=True)
        try:
            target = callbacks.read(call.url)
        except ValueError as exc:
            return Outcome(error=f"callbackUrl: {exc}", final=True)
        to = self._callback_poster, target, callbacks.secrets, callbacks.networks
        if call.job is None or call.dialect is None:
            return await self._send(event, await self._body(event), *to, now)
        form = self._gate.parts.callback_forms.get(call.dialect)
        if form is None:
            error = f"the dialect {call.dialect} is not registered here; register it on the gate of workers too"
            return Outcome(error=error)
        if not has_words(form, event):
            return Outcome(error=f"the dialect {call.dialect} has no words for {event.type}", final=True)
        body = await dialect_body_of(self._gate, event, call.job, form, result_max_bytes=self._result_max_bytes)
        return await self._send(event, body, *to, now, header=form.signature_header)

    async def _body(self, event: Event) -> bytes:
        return await body_of(self._gate, event, result_max_bytes=self._result_max_bytes)

    async def _send(
        self,
        event: Event,
        body: bytes,
        poster: Poster,
        target: Target,
        secrets: Sequence[str],
        networks: Sequence[Network],
        now: datetime,
        *,
        header: str | None = None,
    ) -> Outcome:
        headers = {
            "content-type": "application/json",
            "user-agent": "mediagate",
            **signed_headers(secrets, event.id, now, body, simple_header=header),
        }
        try:
            answer = await poster.post(target, headers, body, networks=networks)
        except NotSent as exc:
            return Outcome(error=str(exc))
        if 200 <= answer.status < 300:
            return Outcome(answer.status)
        return Outcome(
            answer.status,
            f"answered {answer.status}" + (", and redirects are not followed" if 300 <= answer.status < 400 else ""),
            retry_after_s(answer.retry_after, now),
            final=answer.status == GONE,
        )
