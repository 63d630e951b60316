"""The base of all errors, and the errors that concern neither a request nor an image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar


class MediagateError(Exception):
    """Base of all errors of mediagate: ``code`` is stable, the message says what to do."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False
    told: ClassVar[str | None] = "internal error; see the server's log for details"
    """The text for clients in place of ``detail``, which may name paths, hosts and programs of the server; ``None``
    if ``detail`` is safe to show to clients."""

    def __init_subclass__(cls) -> None:
        """Derive the title from the class name: ``UploadTooLarge`` becomes "Upload too large"."""
        cls.title = re.sub(r"(?<=.)[A-Z]", lambda capital: f" {capital[0].lower()}", cls.__name__)

    def __init__(self, detail: str, *, retry_after_s: float | None = None, job_status: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.job_status = job_status
        """Status of the job that the error concerns, if that job exists."""
        self.step: int | None = None
        """The index of the pipeline's step that failed, from 0, and in ``op`` its operation; else both are ``None``."""
        self.op: str | None = None
        self.page: int | None = None
        """The number of the document's page that failed, from 1; ``None`` for a picture."""
        self.close_connection = False
        """Set if the rest of the request body stays unread: the response must then close the connection."""

    def begin_with(self, words: str) -> None:
        """Put words in front of the detail, such as the name of the part of the request that is at fault."""
        self.detail = f"{words}: {self.detail}"
        self.args = (self.detail,)

    @property
    def client_detail(self) -> str:
        """The text for clients; every error text in a response, a job or a webhook comes from here."""
        return self.detail if self.told is None else self.told

    @property
    def members(self) -> Mapping[str, Any]:
        """Further members of the problem (RFC 9457, section 3.2)."""
        return {} if self.step is None else {"step": self.step, "op": self.op}

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers of the response."""
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.close_connection:
            headers["Connection"] = "close"
        if self.job_status is not None:
            headers["Mediagate-Job-Status"] = self.job_status
        return headers


class ConfigError(MediagateError):
    """The configuration is invalid; ``problems`` lists every fault, each naming its field."""

    code = "config_error"

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class PluginError(MediagateError):
    """A plugin is registered twice or too late, lacks a requirement, or got unknown options."""

    code = "plugin_error"


class ObjectNotFound(MediagateError):
    """There is no object under a storage key."""

    code = "object_not_found"
    status = 404
    told = "object not found"


class ObjectChanged(MediagateError):
    """The object under a storage key was replaced since it was read."""

    code = "object_changed"
    status = 409
    told = "the object was changed concurrently; read it again"


class ExportFailed(MediagateError):
    """The archive of an export could not be written; no partial file is left."""

    code = "export_failed"


class WaitTimeout(MediagateError, TimeoutError):
    """``wait()`` timed out; the job continues."""

    code = "wait_timeout"
    told = None
    retryable = True


def members(exc: BaseException) -> Iterator[BaseException]:
    """Iterate over the exceptions inside a group, at any depth; an exception that is not a group is its own member."""
    if isinstance(exc, BaseExceptionGroup):
        for member in exc.exceptions:
            yield from members(member)
    else:
        yield exc


def known_error(exc: BaseException) -> MediagateError | None:
    """Return the first ``MediagateError`` in an exception or exception group, ``None`` if there is none."""
    return next((member for member in members(exc) if isinstance(member, MediagateError)), None)
