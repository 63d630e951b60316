"""Observers, which receive events of the core for metrics and traces; without an observer nothing is measured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from mediagate.values import Job, RejudgementStatus

if TYPE_CHECKING:
    from starlette.requests import Request

log = logging.getLogger("mediagate.observe")

Step = Literal["upload", "attempt", "fetch", "render", "publish", "record", "finish"]
"""``upload`` receives, checks and records a file. ``attempt`` is a worker's attempt at a job and contains the other
steps: ``fetch`` reads the quarantined file, ``render`` is the work of the image process, ``publish`` stores the files,
``record`` is the settling transaction, ``finish`` cleans up and runs the hooks."""
StorageCall = Literal["put", "get", "stream", "stat", "copy", "delete", "list"]
ImageProcessEnd = Literal["crashed", "timeout", "idle", "start", "worn"]
"""Why an image process was replaced: it died or timed out on an image, died while idle, did not start, or had run a
library that keeps memory."""

DeliveryEnd = Literal["delivered", "failed", "given_up"]
"""The result of a delivery attempt; ``failed`` is followed by another attempt."""


class Observer:
    """Receives events of the core; the default methods do nothing.

    The methods must not block: they are called in the event loop, except ``image_process_ended`` in a thread. An
    exception of an observer is logged and does not affect the work.
    """

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        """Return a context manager that encloses a step and receives its error."""
        return nullcontext()

    def traceparent(self) -> str | None:
        """Return the W3C ``traceparent`` of the current step, to be stored with the job that it creates."""
        return None

    def storage_called(self, call: StorageCall, seconds: float, *, failed: bool) -> None:
        """A call of the storage ended; a missing or changed object does not count as a failure."""

    def status_asked(self, *, in_memory: bool) -> None:
        """A job's status was requested; ``in_memory`` tells whether it was cached in this process."""

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        """An image process ended unexpectedly and is replaced."""

    def refused(self, code: str) -> None:
        """A request was answered with an error code."""

    def delivery_ended(self, endpoint: str, how: DeliveryEnd) -> None:
        """A delivery attempt to an endpoint ended; ``endpoint`` is its configured name."""

    def rejudged(self, source_type: str, status: RejudgementStatus) -> None:
        """A worker judged a published picture again, or could not."""


class Observers(Observer):
    """A composite of all observers of a gate."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        """Enter the contexts of all observers in order, and leave them in reverse order."""
        if not self._observers:
            return nullcontext()
        return _During([partial(one.during, step, job=job, request=request) for one in self._observers])

    def traceparent(self) -> str | None:
        """Return the first ``traceparent`` of an observer."""
        parents = (self._guarded(o.traceparent) for o in self._observers)
        return next((parent for parent in parents if parent is not None), None)

    def storage_called(self, call: StorageCall, seconds: float, *, failed: bool) -> None:
        """Notify all observers."""
        for observer in self._observers:
            self._guarded(observer.storage_called, call, seconds, failed=failed)

    def status_asked(self, *, in_memory: bool) -> None:
        """Notify all observers."""
        for observer in self._observers:
            self._guarded(observer.status_asked, in_memory=in_memory)

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        """Notify all observers."""
        for observer in self._observers:
            self._guarded(observer.image_process_ended, why)

    def refused(self, code: str) -> None:
        """Notify all observers."""
        for observer in self._observers:
            self._guarded(observer.refused, code)

    def delivery_ended(self, endpoint: str, how: DeliveryEnd) -> None:
        """Notify all observers."""
        for observer in self._observers:
            self._guarded(observer.delivery_ended, endpoint, how)

    def rejudged(self, source_type: str, status: RejudgementStatus) -> None:
        """Notify all observers."""
        for observer in self._observers:
            self._guarded(observer.rejudged, source_type, status)

    @staticmethod
    def _guarded(notify: Callable[..., Any], *args: Any, **named: Any) -> Any:
        try:
            return notify(*args, **named)
        except Exception:
            log.exception("observer failed")
            return None


class _During:
    """Several contexts as one; their own errors are logged and do not reach the step."""

    def __init__(self, contexts: Sequence[Callable[[], AbstractContextManager[object]]]) -> None:
        self._contexts = contexts
        self._entered: list[AbstractContextManager[object]] = []

    def __enter__(self) -> None:
        for make in self._contexts:
            try:
                context = make()
                context.__enter__()
            except Exception:
                log.exception("observer failed")
            else:
                self._entered.append(context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for context in reversed(self._entered):
            try:
                context.__exit__(kind, error, traceback)
            except BaseException as own:
                # A generator-based context manager re-raises the step's own error.
                if own is not error:
                    log.exception("observer failed")
