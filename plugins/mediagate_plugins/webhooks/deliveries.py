"""The deliveries on record: one for each event and endpoint, shared by all processes through leases."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mediagate import Event, EventType
from mediagate.records import Database
from mediagate_plugins.webhooks.callback_names import CALLBACK_PREFIX
from mediagate_plugins.webhooks.stored_names import endpoint_of, stored_name, stored_names

DeliveryStatus = Literal["pending", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one event to one endpoint; ``answer`` (HTTP status) and ``error`` are of the last attempt."""

    event: Event
    endpoint: str
    status: DeliveryStatus
    attempts: int
    due_at: datetime
    tried_at: datetime | None
    answer: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """The numbers of deliveries to send again and of skipped ones."""

    deliveries: int
    stopped: int
    """Skipped because their endpoints answered 410 Gone."""
    unknown: int
    """Skipped because their endpoints are not configured (any more)."""


class Deliveries:
    """The plugin's tables in the records' database; ``endpoints`` and ``callbacks`` are the configured ones.

    Other deliveries on record are for removed endpoints, or for endpoints that only a newer process knows.
    """

    def __init__(self, database: Database, endpoints: Collection[str], *, callbacks: bool) -> None:
        self._database = database
        self._known = _to(endpoints, callbacks=callbacks)

    async def add(self, routes: Mapping[Event, Mapping[str, str | None]], now: datetime) -> None:
        """Record the deliveries of each event; an endpoint with an error gets a dead delivery.

        Existing deliveries are not changed: another process was faster, or this one died in between. Events that are
        gone get none: their owner was erased.
        """
        if not await self._add(routes, now):
            for event, endpoints in routes.items():
                await self._add({event: endpoints}, now)

    async def _add(self, routes: Mapping[Event, Mapping[str, str | None]], now: datetime) -> bool:
        async def add_all(client: Any) -> None:
            async with client.batch_() as batch:
                for event, endpoints in routes.items():
                    for endpoint, error in endpoints.items():
                        name = stored_name(endpoint, event.type)
                        row = {"eventId": event.id, "endpoint": name, "attempts": 0, "dueAt": now}
                        batch.mediagatewebhookdelivery.create(
                            data={**row, "status": "dead" if error else "pending", "error": error}
                        )

        return not any(routes.values()) or await self._database.insert(add_all)

    async def due(
        self, endpoints: Collection[str], *, callbacks: bool, excluded: Collection[str], now: datetime, limit: int
    ) -> list[Delivery]:
        """Return due deliveries to these endpoints, and to callbacks except ``excluded``, longest due first."""
        where: Any = {"status": "pending", "dueAt": {"lte": now}}
        where |= _to(endpoints, callbacks=callbacks) | {"NOT": [{"endpoint": {"in": stored_names(excluded)}}]}
        return await self._find(where, order={"dueAt": "asc"}, limit=limit)

    async def claim(self, delivery: Delivery, *, owner: str, now: datetime, until: datetime) -> bool:
        """Claim a delivery for one attempt, which counts from now on; ``False`` when another sender holds it.

        The delivery is not due before ``until``; if this process dies, it becomes due again then.
        """
        unclaimed = {"status": "pending", "attempts": delivery.attempts, "dueAt": {"lte": now}}
        taken = {"owner": owner, "attempts": {"increment": 1}, "dueAt": until, "triedAt": now}
        return await self._change({**_key(delivery), **unclaimed}, taken)

    async def delivered(self, delivery: Delivery, *, owner: str, answer: int) -> bool:
        """Record that the delivery succeeded."""
        data = {"status": "delivered", "owner": None, "answer": answer, "error": None}
        return await self._change({**_key(delivery), "owner": owner}, data)

    async def failed(
        self, delivery: Delivery, *, owner: str, error: str, answer: int | None, due_at: datetime | None
    ) -> bool:
        """Record why the delivery failed, and the time of the next attempt; ``None``: there is none."""
        data: dict[str, Any] = {"owner": None, "answer": answer, "error": error}
        data |= {"status": "dead"} if due_at is None else {"dueAt": due_at}
        return await self._change({**_key(delivery), "owner": owner}, data)

    async def put_back(self, delivery: Delivery, *, owner: str, due_at: datetime) -> bool:
        """Release a delivery without counting the attempt."""
        data = {"owner": None, "attempts": {"decrement": 1}, "dueAt": due_at}
        return await self._change({**_key(delivery), "owner": owner}, data)

    # -- stopped endpoints

    async def stopped(self) -> dict[str, datetime]:
        """Return the stopped endpoints and the time of each stop."""
        rows = await self._database.query(lambda client: client.mediagatewebhookstop.find_many())
        return {row.endpoint: row.stoppedAt for row in rows}

    async def stop(self, endpoint: str, *, error: str, now: datetime) -> None:
        """Stop an endpoint; its pending deliveries become dead."""

        async def both(client: Any) -> None:
            async with client.batch_() as batch:
                both_ways = {"create": {"endpoint": endpoint, "stoppedAt": now}, "update": {}}
                batch.mediagatewebhookstop.upsert(where={"endpoint": endpoint}, data=both_ways)
                batch.mediagatewebhookdelivery.update_many(
                    where={"endpoint": {"in": stored_names([endpoint])}, "status": "pending"},
                    data={"status": "dead", "owner": None, "error": error},
                )

        await self._database.execute(both)

    async def resume(self, endpoint: str) -> bool:
        """Resume an endpoint; ``False`` when it was not stopped."""
        return bool(
            await self._database.execute(
                lambda client: client.mediagatewebhookstop.delete_many(where={"endpoint": endpoint})
            )
        )

    # -- finding and replaying

    async def find(
        self, *, status: DeliveryStatus | None, job_id: str | None, event_id: str | None, limit: int
    ) -> list[Delivery]:
        """Return deliveries, the newest event first."""
        where = _where(status=status, job_id=job_id, event_id=event_id)
        return await self._find(where, order=[{"event": {"createdAt": "desc"}}, {"eventId": "desc"}], limit=limit)

    async def replay(
        self,
        *,
        status: DeliveryStatus | None,
        job_id: str | None,
        event_id: str | None,
        since: datetime | None,
        now: datetime,
    ) -> Replayed:
        """Make matching deliveries due now with all their attempts, except to stopped or unknown endpoints."""
        where = _where(status=status, job_id=job_id, event_id=event_id, since=since)
        stopped = {"endpoint": {"in": stored_names(await self.stopped())}}
        unknown = await self._count({"AND": [where], "NOT": [self._known]})
        left_out = await self._count({"AND": [where, self._known, stopped]})
        data = {"status": "pending", "attempts": 0, "dueAt": now, "owner": None}
        wanted = {"AND": [where, self._known], "NOT": [stopped]}
        return Replayed(await self._update(wanted, data), left_out, unknown)

    # -- cleanup

    async def give_up_unknown(self, *, due_before: datetime, error: str) -> int:
        """Mark deliveries to unknown endpoints that were due before ``due_before`` as dead; returns their number."""
        where: Any = {"status": "pending", "dueAt": {"lt": due_before}, "NOT": [self._known]}
        data = {"status": "dead", "owner": None, "error": error}
        return await self._update(where, data)

    async def forget(self, *, before: datetime) -> int:
        """Delete the events before ``before`` that have been delivered everywhere; returns their number.

        Dead deliveries are retained for replay, unless their endpoint is not configured.
        """
        settled = [{"status": "delivered"}, {"status": "dead", "NOT": [self._known]}]
        where: Any = {
            "createdAt": {"lt": before},
            "NOT": [{"passedOnAt": None}],
            "deliveries": {"every": {"OR": settled}},
        }
        return await self._database.execute(lambda client: client.mediagateevent.delete_many(where=where))

    async def _find(self, where: Any, *, order: Any, limit: int) -> list[Delivery]:
        rows = await self._database.query(
            lambda client: client.mediagatewebhookdelivery.find_many(where=where, order=order, take=limit)
        )
        # Not by an include, which fails when an event is deleted between its two queries.
        event_of = await self._events({row.eventId for row in rows})
        return [_delivery_of(row, event_of[row.eventId]) for row in rows if row.eventId in event_of]

    async def _events(self, ids: Collection[str]) -> dict[str, Event]:
        if not ids:
            return {}
        where: Any = {"id": {"in": list(ids)}}
        rows = await self._database.query(lambda client: client.mediagateevent.find_many(where=where))
        return {
            row.id: Event(row.id, EventType(row.laterType or row.type), row.jobId, row.createdAt, row.data)
            for row in rows
        }

    async def _count(self, where: Any) -> int:
        return await self._database.query(lambda client: client.mediagatewebhookdelivery.count(where=where))

    async def _change(self, where: Any, data: Any) -> bool:
        return await self._update(where, data) > 0

    async def _update(self, where: Any, data: Any) -> int:
        return await self._database.execute(
            lambda client: client.mediagatewebhookdelivery.update_many(where=where, data=data)
        )


def _to(endpoints: Collection[str], *, callbacks: bool) -> dict[str, Any]:
    named: list[dict[str, Any]] = [{"endpoint": {"in": stored_names(endpoints)}}]
    return {"OR": named + [{"endpoint": {"startswith": name}} for name in stored_names([CALLBACK_PREFIX])] * callbacks}


def _key(delivery: Delivery) -> dict[str, Any]:
    return {"eventId": delivery.event.id, "endpoint": stored_name(delivery.endpoint, delivery.event.type)}


def _where(
    *, status: DeliveryStatus | None, job_id: str | None, event_id: str | None, since: datetime | None = None
) -> dict[str, Any]:
    of_event: dict[str, Any] = {}
    if job_id is not None:
        of_event["jobId"] = job_id
    if since is not None:
        of_event["createdAt"] = {"gte": since}
    where: dict[str, Any] = {"event": {"is": of_event}} if of_event else {}
    if event_id is not None:
        where["eventId"] = event_id
    if status is not None:
        where["status"] = status
    return where


def _delivery_of(row: Any, event: Event) -> Delivery:
    return Delivery(
        event, endpoint_of(row.endpoint), row.status, row.attempts, row.dueAt, row.triedAt, row.answer, row.error
    )
