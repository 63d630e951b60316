"""The base of all errors, and those that are about neither a request nor an image."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar


class MediagateError(Exception):
    """Base of all errors of mediagate: ``code`` is stable, the message says what to do."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False
    told: ClassVar[str | None] = "An internal error; the server's log says more."
    """What clients are told in place of ``detail``, which may name paths, hosts and programs of the server; ``None``
    where ``detail`` is written for them."""

    def __init_subclass__(cls) -> None:
        """Make the title from the class's name: ``UploadTooLarge`` is "Upload too large"."""
        cls.title = re.sub(r"(?<=.)[A-Z]", lambda capital: f" {capital[0].lower()}", cls.__name__)

    def __init__(self, detail: str, *, retry_after_s: float | None = None, job_status: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.job_status = job_status
        """Where the job stands that the error is about, if it is about one that is there."""
        self.close_connection = False
        """Set where the rest of a request's body stays unread: the answer must then end the connection."""

    @property
    def client_detail(self) -> str:
        """What a client is told: all that leaves the server by HTTP, in a job or by webhook goes through here."""
        return self.detail if self.told is None else self.told

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers that the answer carries besides its body."""
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.close_connection:
            headers["Connection"] = "close"
        if self.job_status is not None:
            headers["Mediagate-Job-Status"] = self.job_status
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


class ObjectNotFound(MediagateError):
    """A storage key holds nothing."""

    code = "object_not_found"
    status = 404
    told = "there is no such object"


class ObjectChanged(MediagateError):
    """A storage key holds another object than the one that was looked at."""

    code = "object_changed"
    status = 409
    told = "the object has changed meanwhile"


class WaitTimeout(MediagateError, TimeoutError):
    """``wait()`` ran out of time; the job itself goes on."""

    code = "wait_timeout"
    told = None
    retryable = True


def members(exc: BaseException) -> Iterator[BaseException]:
    """Iterate over the exceptions inside a group, at any depth; an exception that is no group is its own member."""
    if isinstance(exc, BaseExceptionGroup):
        for member in exc.exceptions:
            yield from members(member)
    else:
        yield exc


def known_error(exc: BaseException) -> MediagateError | None:
    """Return the first error of ours behind an exception, also inside a group, as a task group raises it."""
    return next((member for member in members(exc) if isinstance(member, MediagateError)), None)
