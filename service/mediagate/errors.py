"""Every error that mediagate raises or answers, each with a stable code, an HTTP status and whether a retry can help.

MediagateError
├── ConfigError                  the gate cannot start; ``problems`` names every fault at once
├── PluginError                  a plugin was registered, required or closed wrongly
├── RequestError                 the caller can mend it
│   ├── BadUpload                400 bad_upload
│   ├── UnknownSource            400 unknown_source
│   ├── InvalidSourceId          400 invalid_source_id
│   ├── InvalidParameter         400 invalid_parameter
│   ├── Unauthorized             401 unauthorized
│   ├── Forbidden                403 forbidden
│   ├── UploadRefused            403 upload_refused (a ``pre_upload`` hook said no)
│   ├── UrlExpired               403 url_expired
│   ├── JobNotFound              404 job_not_found
│   ├── MediaNotFound            404 media_not_found
│   ├── UploadNotFound           404 upload_not_found
│   ├── FileNotServed            404 file_not_found
│   ├── RouteNotFound            404 not_found
│   ├── MethodNotAllowed         405 method_not_allowed
│   ├── UploadTimeout            408 upload_timeout
│   ├── JobConflict              409 job_conflict
│   ├── UploadInFlight           409 upload_in_flight
│   ├── UploadNotReceived        409 upload_not_received
│   ├── UploadReceived           409 upload_received
│   ├── MediaDeleted             410 media_deleted
│   ├── UploadExpired            410 upload_expired
│   ├── LengthRequired           411 length_required
│   ├── UploadTooLarge           413 upload_too_large
│   ├── UnsupportedType          415 unsupported_type
│   ├── UndecodableImage         422 image_undecodable
│   ├── ImageTooLarge            422 image_too_large
│   ├── AnimationRefused         422 animation_refused
│   ├── UploadMismatch           422 upload_mismatch
│   ├── IdempotencyKeyReused     422 idempotency_key_reused
│   └── RateLimited              429 rate_limited
├── Unavailable                  503: try again later
│   ├── ShuttingDown             503 shutting_down
│   ├── QueueFull                503 queue_full
│   ├── TooManyUploads           503 too_many_uploads
│   ├── RecordsUnavailable       503 records_unavailable
│   └── StorageUnavailable       503 storage_unavailable
├── ObjectNotFound               a storage key holds nothing
├── ProcessingError              one image could not be processed; ends its own job only
│   ├── ImageCrashed             image_crashed
│   ├── ImageTimeout             image_timeout
│   ├── ModerationFailed         moderation_failed
│   ├── ProcessingRefused        processing_refused (a ``pre_*`` hook said no)
│   └── StagedFileLost           staged_file_lost
└── WaitTimeout                  ``wait()`` ran out of time; the job goes on
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar


class MediagateError(Exception):
    """Base of all errors of mediagate: ``code`` is stable, the message says what to do."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Make the title from the class's name: ``UploadTooLarge`` is "Upload too large"."""
        cls.title = re.sub(r"(?<=.)[A-Z]", lambda capital: f" {capital[0].lower()}", cls.__name__)

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.close_connection = False
        """Set where the rest of a request's body stays unread: the answer must then end the connection."""

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers that the answer carries besides its body."""
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.close_connection:
            headers["Connection"] = "close"
        return headers


class ConfigError(MediagateError):
    """The gate cannot start as it is configured; ``problems`` lists every fault, each naming its field."""

    code = "config_error"

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class PluginError(MediagateError):
    """A plugin is registered twice or too late, misses a requirement, or got options it does not take."""

    code = "plugin_error"


class RequestError(MediagateError):
    """Something about the request that its sender can mend."""

    code = "bad_request"
    status = 400


class BadUpload(RequestError):
    """The body is malformed, or a field is missing."""

    code = "bad_upload"


class UnknownSource(RequestError):
    """``sourceType`` names no configured source."""

    code = "unknown_source"


class InvalidSourceId(RequestError):
    """``sourceId`` has characters that may not stand in a storage key."""

    code = "invalid_source_id"


class InvalidParameter(RequestError):
    """A field, query parameter or header has a value that is out of range."""

    code = "invalid_parameter"


class Unauthorized(RequestError):
    """The caller did not say who it is, or cannot prove it; ``challenge`` says how to (RFC 9110, 11.6.1)."""

    code = "unauthorized"
    status = 401

    def __init__(
        self, detail: str, *, challenge: str = 'Bearer realm="mediagate"', retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.challenge = challenge

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers that the answer carries besides its body."""
        return {**super().headers, "WWW-Authenticate": self.challenge}


class Forbidden(RequestError):
    """The caller is known, and may not do this."""

    code = "forbidden"
    status = 403


class UploadRefused(RequestError):
    """Raised by a ``pre_upload`` hook to refuse an upload; the message goes to the client."""

    code = "upload_refused"
    status = 403


class UrlExpired(RequestError):
    """A private file's URL was right, and is too old; the media's answer has a new one."""

    code = "url_expired"
    status = 403


class JobNotFound(RequestError):
    """No job has this id."""

    code = "job_not_found"
    status = 404


class MediaNotFound(RequestError):
    """No media has this id."""

    code = "media_not_found"
    status = 404


class UploadNotFound(RequestError):
    """No direct upload has this id, and, where one is needed, this token."""

    code = "upload_not_found"
    status = 404


class FileNotServed(RequestError):
    """The gate serves no file under this path."""

    code = "file_not_found"
    status = 404


class RouteNotFound(RequestError):
    """The gate has no such route."""

    code = "not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The route does not take this method."""

    code = "method_not_allowed"
    status = 405


class UploadTimeout(RequestError):
    """The body of an upload stopped coming, or trickled in too slowly."""

    code = "upload_timeout"
    status = 408
    retryable = True


class JobConflict(RequestError):
    """The job's state does not allow this (retry of a running job, cancel of a finished one)."""

    code = "job_conflict"
    status = 409


class UploadInFlight(RequestError):
    """An upload with the same ``Idempotency-Key`` is being received right now."""

    code = "upload_in_flight"
    status = 409
    retryable = True


class UploadNotReceived(RequestError):
    """A direct upload is to be completed, and its bytes have not arrived."""

    code = "upload_not_received"
    status = 409


class UploadReceived(RequestError):
    """The bytes of a direct upload have arrived already; what is left is to complete it."""

    code = "upload_received"
    status = 409


class MediaDeleted(RequestError):
    """The job completed, and its media was deleted or expired since."""

    code = "media_deleted"
    status = 410


class UploadExpired(RequestError):
    """A direct upload was not completed in time."""

    code = "upload_expired"
    status = 410


class LengthRequired(RequestError):
    """The body comes without its length, and a limit on bytes cannot be kept without it."""

    code = "length_required"
    status = 411


class UploadTooLarge(RequestError):
    """The file has more bytes than its source allows."""

    code = "upload_too_large"
    status = 413


class UnsupportedType(RequestError):
    """The bytes are no image of an accepted format."""

    code = "unsupported_type"
    status = 415


class UndecodableImage(RequestError):
    """The file says it is an accepted format, and cannot be decoded."""

    code = "image_undecodable"
    status = 422


class ImageTooLarge(RequestError):
    """The image has more pixels or frames, or needs more memory, than its source allows."""

    code = "image_too_large"
    status = 422


class AnimationRefused(RequestError):
    """The image is animated, and its source takes still images only."""

    code = "animation_refused"
    status = 422


class UploadMismatch(RequestError):
    """The bytes of a direct upload have another size or type than was declared."""

    code = "upload_mismatch"
    status = 422


class IdempotencyKeyReused(RequestError):
    """The ``Idempotency-Key`` was used before with another body."""

    code = "idempotency_key_reused"
    status = 422


class RateLimited(RequestError):
    """A limit on requests, bytes or jobs is used up; ``retry_after_s`` says when there is room again."""

    code = "rate_limited"
    status = 429
    retryable = True


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


class ObjectNotFound(MediagateError):
    """A storage key holds nothing."""

    code = "object_not_found"
    status = 404


class ProcessingError(MediagateError):
    """One image could not be processed; its job alone ends, or is tried again when ``retryable``."""

    code = "processing_failed"
    retryable = True


class ImageCrashed(ProcessingError):
    """The image process died while it worked on this image."""

    code = "image_crashed"


class ImageTimeout(ProcessingError):
    """The image took longer than its wall-clock limit."""

    code = "image_timeout"


class ModerationFailed(ProcessingError):
    """The moderator raised instead of judging; nothing is published without a verdict."""

    code = "moderation_failed"


class ProcessingRefused(ProcessingError):
    """Raised by a ``pre_process``, ``pre_verdict`` or ``pre_store`` hook to reject the image."""

    code = "processing_refused"
    retryable = False


class StagedFileLost(ProcessingError):
    """The quarantined file is gone, so there is nothing to process."""

    code = "staged_file_lost"
    retryable = False


class WaitTimeout(MediagateError, TimeoutError):
    """``wait()`` ran out of time; the job itself goes on."""

    code = "wait_timeout"
    retryable = True


def known_error(exc: BaseException) -> MediagateError | None:
    """Return the error of ours behind an exception, also when a task group wrapped it."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc if isinstance(exc, MediagateError) else None
