"""Errors that pass by themselves: something that the gate needs is down, or it is full."""

from __future__ import annotations

from typing import ClassVar

from mediagate.errors.base import MediagateError


class Unavailable(MediagateError):
    """Something the gate needs is down for the moment; the same request may succeed later."""

    code = "unavailable"
    status = 503
    retryable = True
    told: ClassVar[str | None] = "something that the service needs is away; try again in a moment"

    def __init__(self, detail: str, *, retry_after_s: float | None = 5) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class ShuttingDown(Unavailable):
    """The gate is closing and takes no more uploads."""

    code = "shutting_down"
    told = None


class QueueFull(Unavailable):
    """So many jobs wait that no more are taken in."""

    code = "queue_full"
    told = None


class TooManyUploads(Unavailable):
    """This process receives as many uploads at once as it may."""

    code = "too_many_uploads"
    told = None


class TooManyConnections(Unavailable):
    """This process serves as many connections at once as it may, and each has a request under way."""

    code = "too_many_connections"
    told = None


class TooManyDownloads(Unavailable):
    """This process sends as many files at once as it may."""

    code = "too_many_downloads"
    told = None


class ImageReadersBusy(Unavailable):
    """No process that reads headers came to this picture in time."""

    code = "image_readers_busy"
    told = None


class RecordsUnavailable(Unavailable):
    """The database or its query engine did not answer."""

    code = "records_unavailable"
    told = "the service's database is away; try again in a moment"


class SchemaOutdated(RecordsUnavailable):
    """The database lacks migrations of this release: ``mediagate migrate`` applies them."""

    code = "schema_outdated"
    retryable = False
    told = "the service's database is not set up for it; its operator finds the reason in the log"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class RecordsRefused(RecordsUnavailable):
    """The database answers, and refuses the user, the password or the database's name that it is given."""

    code = "records_refused"
    retryable = False
    told = "the service's database does not let it in; its operator finds the reason in the log"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class ModeratorUnavailable(Unavailable):
    """The service that judges pictures did not answer, or may not be asked more often today."""

    code = "moderator_unavailable"
    told = "the picture waits for the service that judges it"


class StorageUnavailable(Unavailable):
    """The storage did not answer, or has no space left."""

    code = "storage_unavailable"
    told = "the service's storage is away or full; try again in a moment"
