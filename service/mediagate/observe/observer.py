"""What the core tells of itself while it works, for metrics and traces; without an observer nothing is measured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from mediagate.values import Job

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger("mediagate.observe")

Step = Literal["upload", "attempt", "fetch", "render", "publish", "record", "finish"]
"""``upload`` receives, checks and records a file; ``attempt`` is one of a worker at a job, and has the steps after it:
``fetch`` reads the quarantined file, ``render`` is the image process's work, ``record`` the settling transaction,
``finish`` tidies up and runs the hooks."""
StorageCall = Literal["put", "get", "stream", "stat", "copy", "delete", "list"]
ImageProcessEnd = Literal["crashed", "timeout", "idle", "start"]
"""Why an image process was replaced: it died or took too long at an image, died without work, or did not start."""

DeliveryEnd = Literal["delivered", "failed", "given_up"]
"""How an attempt to deliver an event ended; after ``failed`` there is another one."""


class Observer:
    """Is told what happens; what is not overridden does nothing.

    Called in the event loop, ``image_process_ended`` in a thread: return at once. What an observer raises is logged,
    and the work goes on.
    """

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        """Return a context manager that is entered for the length of a step; it sees the step's error."""
        return nullcontext()

    def traceparent(self) -> str | None:
        """Return the W3C ``traceparent`` of the step that is under way, to be stored with the job that it makes."""
        return None

    def storage_called(self, call: StorageCall, seconds: float, *, failed: bool) -> None:
        """A call of the storage has ended; that an object is not there, or is another one, is no failure."""

    def status_asked(self, *, in_memory: bool) -> None:
        """A job's status was asked for, and was known in this process or not."""

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        """An image process ended before its time and is replaced."""

    def refused(self, code: str) -> None:
        """A request was answered with this error code."""

    def delivery_ended(self, endpoint: str, how: DeliveryEnd) -> None:
        """An attempt ended to deliver an event to an endpoint, known by its configured name."""


class Observers(Observer):
    """All observers of a gate as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        """Enter the contexts of all, in order, and leave them in reverse."""
        if not self._observers:
            return nullcontext()
        return _During([partial(one.during, step, job=job, request=request) for one in self._observers])

    def traceparent(self) -> str | None:
        """Return what the first says who knows one."""
        said = (self._guarded(o.traceparent) for o in self._observers)
        return next((parent for parent in said if parent is not None), None)

    def storage_called(self, call: StorageCall, seconds: float, *, failed: bool) -> None:
        """Tell all."""
        for observer in self._observers:
            self._guarded(observer.storage_called, call, seconds, failed=failed)

    def status_asked(self, *, in_memory: bool) -> None:
        """Tell all."""
        for observer in self._observers:
            self._guarded(observer.status_asked, in_memory=in_memory)

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        """Tell all."""
        for observer in self._observers:
            self._guarded(observer.image_process_ended, why)

    def refused(self, code: str) -> None:
        """Tell all."""
        for observer in self._observers:
            self._guarded(observer.refused, code)

    def delivery_ended(self, endpoint: str, how: DeliveryEnd) -> None:
        """Tell all."""
        for observer in self._observers:
            self._guarded(observer.delivery_ended, endpoint, how)

    @staticmethod
    def _guarded(tell: Callable[..., Any], *args: Any, **named: Any) -> Any:
        try:
            return tell(*args, **named)
        except Exception:
            log.exception("an observer failed")
            return None


class _During:
    """Several contexts as one, whose own errors are logged and never reach the step."""

    def __init__(self, contexts: Sequence[Callable[[], AbstractContextManager[object]]]) -> None:
        self._contexts = contexts
        self._entered: list[AbstractContextManager[object]] = []

    def __enter__(self) -> None:
        for make in self._contexts:
            try:
                context = make()
                context.__enter__()
            except Exception:
                log.exception("an observer failed")
            else:
                self._entered.append(context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for context in reversed(self._entered):
            try:
                context.__exit__(kind, error, traceback)
            except BaseException as own:
                # A context manager made of a generator raises the step's own error anew.
                if own is not error:
                    log.exception("an observer failed")
