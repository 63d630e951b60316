"""Undelivered events in memory."""

from __future__ import annotations

from collections.abc import Collection

from mediagate.values import Event, EventType


class Outbox:
    """Events by id."""

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}

    def write(self, events: tuple[Event, ...]) -> None:
        """Add events."""
        self._events |= {event.id: event for event in events}

    def oldest(self, limit: int) -> list[Event]:
        """Return up to ``limit`` events, oldest first."""
        return sorted(self._events.values(), key=lambda event: (event.created_at, event.id))[:limit]

    def remove(self, event_ids: Collection[str]) -> None:
        """Remove events; unknown ids are ignored."""
        for event_id in event_ids:
            self._events.pop(event_id, None)

    def erase(self, job_ids: Collection[str]) -> None:
        """Remove the events of jobs, except ``media.deleted``."""
        kept = EventType.MEDIA_DELETED
        self._events = {i: e for i, e in self._events.items() if e.type is kept or e.job_id not in job_ids}
