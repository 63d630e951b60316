"""Errors that pass by themselves: something that the gate needs is down, or it is full."""

from __future__ import annotations

from mediagate.errors.base import MediagateError


class Unavailable(MediagateError):
    """Something the gate needs is down for the moment; the same request may succeed later."""

    code = "unavailable"
    status = 503
    retryable = True

    def __init__(self, detail: str, *, retry_after_s: float | None = 5) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class ShuttingDown(Unavailable):
    """The gate is closing and takes no more uploads."""

    code = "shutting_down"


class QueueFull(Unavailable):
    """So many jobs wait that no more are taken in."""

    code = "queue_full"


class TooManyUploads(Unavailable):
    """This process receives as many uploads at once as it may."""

    code = "too_many_uploads"


class RecordsUnavailable(Unavailable):
    """The database or its query engine did not answer."""

    code = "records_unavailable"


class StorageUnavailable(Unavailable):
    """The storage did not answer, or has no space left."""

    code = "storage_unavailable"
