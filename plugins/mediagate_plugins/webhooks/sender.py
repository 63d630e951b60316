"""The delivery loop: outbox → deliveries → claim → attempt → outcome. Any number of processes share it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from mediagate import CallbackForm, Event, Records
from mediagate.errors import Unavailable
from mediagate.observe import Observer
from mediagate_plugins.webhooks.attempt import GONE, Attempts, Outcome
from mediagate_plugins.webhooks.callback_names import CALLBACK, callback_name, is_callback
from mediagate_plugins.webhooks.callback_urls import call_of, has_words
from mediagate_plugins.webhooks.deliveries import Deliveries, Delivery
from mediagate_plugins.webhooks.options import Callbacks, Endpoint
from mediagate_plugins.webhooks.schedule import PAUSES_S, pause

log = logging.getLogger("mediagate.webhooks")

POLL_S = 1.0
"""How often the records are polled for events of other processes; events of this one are sent at once."""
BATCH = 100
SLOTS = 8
"""Concurrent attempts per endpoint: a slow endpoint delays only itself."""
CALLBACK_SLOTS, HOST_SLOTS = 32, 4
"""The same for all callbacks together, and for each of their hosts: only eight slow hosts can delay the others."""
LEASE_MARGIN_S = 60.0
"""How much longer a claim lasts than an attempt."""
OWN_FAULT_PAUSE = timedelta(seconds=30)
"""The pause after an attempt that failed because of the service's own database or storage; it does not count."""
FORGET_EVERY_S = 3600.0
UNKNOWN_FOR = timedelta(days=1)
"""How long deliveries to unknown endpoints are left to other processes: a newer one may know the endpoints."""


class Sender:
    """Turns the outbox's events into deliveries, and sends due deliveries."""

    def __init__(
        self,
        records: Records,
        deliveries: Deliveries,
        attempts: Attempts,
        endpoints: Mapping[str, Endpoint],
        callbacks: Callbacks | None,
        forms: Mapping[str, CallbackForm],
        observer: Observer,
        *,
        timeout_s: float,
        keep: timedelta,
    ) -> None:
        self._records = records
        self._deliveries = deliveries
        self._attempts = attempts
        self._endpoints = endpoints
        self._callbacks = callbacks
        self._forms = forms
        self._observer = observer
        self._lease = timedelta(seconds=timeout_s + LEASE_MARGIN_S)
        self._keep = keep
        self._process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._wake = asyncio.Event()
        self._flying: dict[str, set[asyncio.Task[None]]] = {}
        self._begun_at = self._forget_at = time.monotonic()

    async def now(self) -> datetime:
        """Return the current time for due deliveries and claims, which is the same for all processes."""
        return await self._records.now()

    async def look(self, _: object) -> None:
        """Look for new events now; registered as a hook."""
        self.wake()

    def wake(self) -> None:
        """Start the next round at once."""
        self._wake.set()

    async def deliver_due(self) -> int:
        """Send everything that is due now and wait for the attempts; returns their number."""
        made = 0
        while begun := await self._round():
            made += len(begun)
            await asyncio.gather(*begun)
        return made

    @asynccontextmanager
    async def running(self, *, drain_s: float) -> AsyncIterator[None]:
        """Send continuously; at the end wait ``drain_s`` for attempts in flight, and release the others."""
        loop = asyncio.create_task(self._run())
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            if tasks := self._tasks():
                await asyncio.wait(tasks, timeout=drain_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for tasks in self._flying.values() for task in tasks]

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                if await self._round():
                    continue
                await self._forget()
            except Unavailable as exc:
                log.warning("could not look for webhooks: %s", exc)
            except Exception:
                log.exception("looking for webhooks failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)

    async def _round(self) -> list[asyncio.Task[None]]:
        """Start attempts in free slots."""
        await self._pass_on()
        endpoints = [name for name in self._endpoints if self._has_room(name)]
        callbacks = self._callbacks is not None and self._callbacks_flying() < CALLBACK_SLOTS
        if not endpoints and not callbacks:
            return []
        full = [name for name in self._flying if not self._has_room(name)]
        begun = []
        for delivery in await self._deliveries.due(
            endpoints, callbacks=callbacks, excluded=full, now=await self.now(), limit=BATCH
        ):
            if not self._has_room(delivery.endpoint):
                continue
            owner, now = f"{self._process}:{secrets.token_hex(4)}", await self.now()
            if await self._deliveries.claim(delivery, owner=owner, now=now, until=now + self._lease):
                begun.append(self._begin(replace(delivery, attempts=delivery.attempts + 1), owner))
        return begun

    def _has_room(self, name: str) -> bool:
        flying = len(self._flying.get(name, ()))
        if is_callback(name):
            return flying < HOST_SLOTS and self._callbacks_flying() < CALLBACK_SLOTS
        return flying < SLOTS

    def _callbacks_flying(self) -> int:
        return sum(len(tasks) for name, tasks in self._flying.items() if is_callback(name))

    # -- from the outbox to deliveries

    async def _pass_on(self) -> None:
        while events := await self._records.outbox(limit=BATCH):
            stopped = await self._deliveries.stopped()
            routes = {event: {name: _stopped(name, stopped) for name in await self._goes_to(event)} for event in events}
            await self._deliveries.add(routes, await self.now())
            await self._records.passed_on([event.id for event in events], now=await self.now())

    async def _goes_to(self, event: Event) -> list[str]:
        names = [name for name, endpoint in self._endpoints.items() if event.type in endpoint.events]
        if self._callbacks is not None:
            call = await call_of(self._records, event)
            form = self._forms.get(call.dialect) if call is not None and call.dialect is not None else None
            if call is not None and (form is None or has_words(form, event)):
                names.append(callback_name(call.url))
        return names

    # -- one attempt

    def _begin(self, delivery: Delivery, owner: str) -> asyncio.Task[None]:
        name = delivery.endpoint
        task = asyncio.create_task(self._deliver(delivery, owner))
        self._flying.setdefault(name, set()).add(task)

        def ended(_: asyncio.Task[None]) -> None:
            if not self._has_room(name):
                self.wake()
            self._flying[name].discard(task)
            if not self._flying[name]:
                del self._flying[name]  # there may be as many hosts as uploads

        task.add_done_callback(ended)
        return task

    async def _deliver(self, delivery: Delivery, owner: str) -> None:
        try:
            await self._note(delivery, owner, await self._attempt(delivery))
        except asyncio.CancelledError:
            with contextlib.suppress(Unavailable):
                await self._deliveries.put_back(delivery, owner=owner, due_at=await self.now())
            raise
        except Unavailable as exc:
            log.warning("webhook %s: waiting: %s", delivery.event.id, exc)
            with contextlib.suppress(Unavailable):  # otherwise the claim expires
                await self._deliveries.put_back(delivery, owner=owner, due_at=await self.now() + OWN_FAULT_PAUSE)
        except Exception:
            log.exception("webhook %s: could not record the outcome", delivery.event.id)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        if delivery.attempts > len(PAUSES_S):
            return Outcome(error="the sender died during the last attempt", final=True)
        try:
            return await self._attempts.make(delivery.event, delivery.endpoint, await self.now())
        except Unavailable:
            raise
        except Exception:
            log.exception("webhook %s to %s: could not make the body", delivery.event.id, delivery.endpoint)
            return Outcome(error="internal error; see the log")

    async def _note(self, delivery: Delivery, owner: str, outcome: Outcome) -> None:
        event, endpoint, now = delivery.event, delivery.endpoint, await self.now()
        counted_as = CALLBACK if is_callback(endpoint) else endpoint
        about = {"event": event.type.value, "event_id": event.id, "job_id": event.job_id, "endpoint": endpoint}
        if outcome.error is None and outcome.answer is not None:
            await self._deliveries.delivered(delivery, owner=owner, answer=outcome.answer)
            self._observer.delivery_ended(counted_as, "delivered")
            log.info("webhook %s (%s) to %s: %d", event.id, event.type, endpoint, outcome.answer, extra=about)
            return
        error = outcome.error or "no answer"
        wait = None if outcome.final else pause(delivery.attempts, asked_s=outcome.asked_s)
        await self._deliveries.failed(
            delivery, owner=owner, error=error, answer=outcome.answer, due_at=now + wait if wait else None
        )
        self._observer.delivery_ended(counted_as, "failed" if wait else "given_up")
        left = f"again in {wait.total_seconds():.0f} s" if wait else "given up, retained for replay"
        level = logging.INFO if wait else logging.WARNING
        log.log(level, "webhook %s (%s) to %s: %s; %s", event.id, event.type, endpoint, error, left, extra=about)
        if outcome.answer == GONE and not is_callback(endpoint):
            await self._deliveries.stop(endpoint, error=error, now=now)
            log.warning("webhooks to %s stopped: it answered 410 Gone", endpoint, extra={"endpoint": endpoint})

    async def _forget(self) -> None:
        at = time.monotonic()
        if at < self._forget_at:
            return
        self._forget_at = at + FORGET_EVERY_S
        now = await self.now()
        if at - self._begun_at >= FORGET_EVERY_S:  # not at start: a rolling deployment may start newer processes
            error = "no endpoint with this name is configured any more"
            if given_up := await self._deliveries.give_up_unknown(due_before=now - UNKNOWN_FOR, error=error):
                log.warning("%d webhooks given up: their endpoints are not configured", given_up)
        await self._deliveries.forget(before=now - self._keep)


def _stopped(name: str, stopped: Mapping[str, object]) -> str | None:
    return "the endpoint was stopped by an earlier 410" if name in stopped else None
