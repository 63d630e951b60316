"""Temporary errors: a dependency of the gate is unavailable, or the gate is at capacity."""

from __future__ import annotations

from typing import ClassVar

from mediagate.errors.base import MediagateError


class Unavailable(MediagateError):
    """A dependency of the gate is unavailable; the same request may succeed later."""

    code = "unavailable"
    status = 503
    retryable = True
    told: ClassVar[str | None] = "the service is temporarily unavailable; try again in a moment"

    def __init__(self, detail: str, *, retry_after_s: float | None = 5) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class ShuttingDown(Unavailable):
    """The gate is closing and accepts no more uploads."""

    code = "shutting_down"
    told = None


class QueueFull(Unavailable):
    """The backlog of jobs has reached its limit."""

    code = "queue_full"
    told = None


class TooManyUploads(Unavailable):
    """This process has reached its limit of concurrent uploads."""

    code = "too_many_uploads"
    told = None


class TooManyConnections(Unavailable):
    """This process has reached its limit of connections, and each of them has a request in progress."""

    code = "too_many_connections"
    told = None


class TooManyDownloads(Unavailable):
    """This process has reached its limit of concurrent downloads."""

    code = "too_many_downloads"
    told = None


class ImageReadersBusy(Unavailable):
    """No header-reading process became available in time."""

    code = "image_readers_busy"
    told = None


class RecordsUnavailable(Unavailable):
    """The database or its query engine did not answer."""

    code = "records_unavailable"
    told = "the service's database is unavailable; try again in a moment"


class SchemaOutdated(RecordsUnavailable):
    """The database lacks migrations of this release: ``mediagate migrate`` applies them."""

    code = "schema_outdated"
    retryable = False
    told = "the service's database is not migrated; see the server's log for details"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class RecordsRefused(RecordsUnavailable):
    """The database rejects the configured user, password or database name."""

    code = "records_refused"
    retryable = False
    told = "the service's database rejects the connection; see the server's log for details"

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class ModeratorUnavailable(Unavailable):
    """The moderation service did not answer, or its daily budget is exhausted."""

    code = "moderator_unavailable"
    told = "the moderation service is unavailable; the picture is waiting for it"


class StorageUnavailable(Unavailable):
    """The storage did not answer, or has no space left."""

    code = "storage_unavailable"
    told = "the service's storage is unavailable or full; try again in a moment"
