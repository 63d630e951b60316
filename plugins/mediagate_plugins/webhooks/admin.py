"""The interface of an open gate's webhooks for the host and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mediagate import Key
from mediagate.errors import ConfigError, InvalidParameter
from mediagate_plugins.webhooks.deliveries import Deliveries, Delivery, DeliveryStatus, Replayed
from mediagate_plugins.webhooks.options import Endpoint

if TYPE_CHECKING:
    from mediagate_plugins.webhooks.sender import Sender


class Webhooks:
    """``gate[WEBHOOKS]`` of an open gate."""

    def __init__(self, deliveries: Deliveries, sender: Sender, endpoints: Mapping[str, Endpoint]) -> None:
        self._deliveries = deliveries
        self._sender = sender
        self._endpoints = endpoints

    async def find(
        self,
        *,
        status: DeliveryStatus | None = None,
        job_id: str | None = None,
        event_id: str | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """Return deliveries, newest event first."""
        return await self._deliveries.find(status=status, job_id=job_id, event_id=event_id, limit=limit)

    async def replay(
        self,
        *,
        event_id: str | None = None,
        job_id: str | None = None,
        dead: bool = False,
        since: datetime | None = None,
    ) -> Replayed:
        """Send the events again, under the same ids, that match all given conditions.

        ``since`` refers to the time of the events. Deliveries to endpoints that are stopped or no longer configured are
        skipped and counted. Raises ``InvalidParameter`` when no condition is given.
        """
        if event_id is None and job_id is None and not dead and since is None:
            raise InvalidParameter("select the events to send again: event_id, job_id, dead or since")
        replayed = await self._deliveries.replay(
            status="dead" if dead else None,
            job_id=job_id,
            event_id=event_id,
            since=since,
            now=await self._sender.now(),
        )
        self._sender.wake()
        return replayed

    async def stopped(self) -> Mapping[str, datetime]:
        """Return the endpoints that answered 410 Gone with the time: they receive nothing until they are resumed."""
        return await self._deliveries.stopped()

    async def resume(self, endpoint: str) -> bool:
        """Resume a stopped endpoint, from the next event on; ``False`` when it was not stopped.

        Raises ``ConfigError`` for an unknown endpoint.
        """
        if endpoint not in self._endpoints:
            raise ConfigError(f"webhooks: endpoint {endpoint!r} not found; use one of: {', '.join(self._endpoints)}")
        return await self._deliveries.resume(endpoint)

    async def deliver_due(self) -> int:
        """Send everything that is due now and wait for the attempts; returns their number.

        Processes with a worker do this continuously.
        """
        return await self._sender.deliver_due()


WEBHOOKS: Key[Webhooks] = Key("WEBHOOKS")
