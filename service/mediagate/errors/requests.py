"""Errors of requests that the sender can correct."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediagate.errors.base import MediagateError


class RequestError(MediagateError):
    """The request is at fault; its sender can correct it."""

    code = "bad_request"
    status = 400
    told = None


class BadUpload(RequestError):
    """The body is malformed, or a field is missing."""

    code = "bad_upload"


class UnknownSource(RequestError):
    """``sourceType`` names no configured source."""

    code = "unknown_source"


class InvalidSourceId(RequestError):
    """``sourceId`` is empty, too long, or has control characters."""

    code = "invalid_source_id"


class InvalidParameter(RequestError):
    """A field, query parameter or header has an invalid value."""

    code = "invalid_parameter"


class Unauthorized(RequestError):
    """The caller is not authenticated; ``challenge`` names the expected scheme (RFC 9110, 11.6.1)."""

    code = "unauthorized"
    status = 401

    def __init__(
        self, detail: str, *, challenge: str = 'Bearer realm="mediagate"', retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.challenge = challenge

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers of the response."""
        return {**super().headers, "WWW-Authenticate": self.challenge}


class Forbidden(RequestError):
    """The caller is authenticated but not allowed to do this."""

    code = "forbidden"
    status = 403


class CrossSiteRequest(RequestError):
    """A page of another site sent the request with the cookies of this one, and its origin is not allowed."""

    code = "cross_site_request"
    status = 403


class HostNotAllowed(RequestError):
    """The request reached a loopback address under a host name that is not allowed there."""

    code = "host_not_allowed"
    status = 403


class UploadRefused(RequestError):
    """Raised by a ``pre_upload`` hook to refuse an upload; the message goes to the client."""

    code = "upload_refused"
    status = 403


class UrlExpired(RequestError):
    """The URL of a private file has expired; ``GET /media/{mediaId}`` returns a new one."""

    code = "url_expired"
    status = 403


class JobNotFound(RequestError):
    """No job has this id."""

    code = "job_not_found"
    status = 404


class BatchNotFound(RequestError):
    """No batch has this id."""

    code = "batch_not_found"
    status = 404


class MediaNotFound(RequestError):
    """No media has this id."""

    code = "media_not_found"
    status = 404


class UploadNotFound(RequestError):
    """No direct upload has this id, or the required token does not match."""

    code = "upload_not_found"
    status = 404


class OwnerNotFound(RequestError):
    """Nothing is on record of an owner."""

    code = "owner_not_found"
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
    """The route does not support this method; ``allowed`` lists the supported ones (RFC 9110, 15.5.6)."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, detail: str, *, allowed: Iterable[str] = ()) -> None:
        super().__init__(detail)
        self.allowed = sorted(allowed)

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers of the response."""
        return {**super().headers, "Allow": ", ".join(self.allowed)}


class HeadTimeout(RequestError):
    """The request line and headers did not arrive in time."""

    code = "head_timeout"
    status = 408
    retryable = True


class UploadTimeout(RequestError):
    """The body of an upload stalled or arrived too slowly."""

    code = "upload_timeout"
    status = 408
    retryable = True


class JobConflict(RequestError):
    """The job's state does not allow this (retry of a running job, cancel of a finished one)."""

    code = "job_conflict"
    status = 409


class UploadInFlight(RequestError):
    """An upload with the same ``Idempotency-Key``, or of the same direct upload, is being received right now."""

    code = "upload_in_flight"
    status = 409
    retryable = True


class UploadNotReceived(RequestError):
    """``complete`` was called before the file of the direct upload arrived."""

    code = "upload_not_received"
    status = 409


class UploadReceived(RequestError):
    """The file of the direct upload has already arrived; the upload must be completed."""

    code = "upload_received"
    status = 409


class MediaDeleted(RequestError):
    """The job completed, but its media has been deleted or has expired since."""

    code = "media_deleted"
    status = 410


class UploadExpired(RequestError):
    """A direct upload was not completed in time."""

    code = "upload_expired"
    status = 410


class LengthRequired(RequestError):
    """The request has no ``Content-Length``, which a limit on bytes requires."""

    code = "length_required"
    status = 411


class UploadTooLarge(RequestError):
    """The file is larger than its source allows; ``limit`` is the limit in bytes, if there is a single one."""

    code = "upload_too_large"
    status = 413

    def __init__(self, detail: str, *, limit: int | None = None) -> None:
        super().__init__(detail)
        self.limit = limit


class UnsupportedType(RequestError):
    """The bytes are not an image of an accepted format."""

    code = "unsupported_type"
    status = 415


class UnsupportedEncoding(RequestError):
    """The body is compressed by a ``Content-Encoding``."""

    code = "unsupported_encoding"
    status = 415

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers of the response, with the supported encoding (RFC 9110, 12.5.3)."""
        return {**super().headers, "Accept-Encoding": "identity"}


class UploadMismatch(RequestError):
    """The file of a direct upload differs from its declared size or type, or changed while it was checked."""

    code = "upload_mismatch"
    status = 422


class IdempotencyKeyReused(RequestError):
    """The ``Idempotency-Key`` was used before with another body."""

    code = "idempotency_key_reused"
    status = 422


class CallbacksUnavailable(RequestError):
    """The request has a ``callbackUrl``, and this service calls none."""

    code = "callbacks_unavailable"
    status = 422


class ConflictingParameters(RequestError):
    """Two query parameters that exclude each other."""

    code = "conflicting_parameters"
    status = 422


class HeadTooLarge(RequestError):
    """The request line and headers exceed the server's limit."""

    code = "head_too_large"
    status = 431


class RateLimited(RequestError):
    """A limit on requests, bytes or jobs is exhausted; ``retry_after_s`` is the time until it frees up."""

    code = "rate_limited"
    status = 429
    retryable = True
