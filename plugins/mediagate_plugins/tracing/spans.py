"""Spans: one for each observed step of the core, and one for the wait in the queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from time import time_ns

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import Request

from mediagate import Job, JobState
from mediagate.errors import MediagateError, RequestError
from mediagate.observe import Observer, Step

W3C = TraceContextTextMapPropagator()
Attributes = Mapping[str, str | int | float]


class Spans(Observer):
    """Creates spans with the tracer ``mediagate``, without the texts of exceptions, which may contain secrets."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("mediagate")

    # -- hooks

    async def uploaded(self, job: Job) -> None:
        """Add the new job's id to the upload's span."""
        trace.get_current_span().set_attributes({**_about(job), "mediagate.bytes": job.bytes})

    async def ended(self, state: JobState) -> None:
        """Add the end of the job, and the timings of the image process in milliseconds, to the last span."""
        job = state.job
        ended: dict[str, str | float] = {"mediagate.job.status": str(job.status)}
        if job.code is not None:
            ended["mediagate.job.code"] = job.code
        ended |= {f"mediagate.timing.{stage}_ms": taken for stage, taken in job.timings_ms.items()}
        trace.get_current_span().set_attributes(ended)

    # -- observer

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        """Create a span for a step."""
        if step == "attempt" and job is not None:
            return self._attempt(job)
        inside = trace.get_current_span().get_span_context().is_valid
        if step == "upload":
            parent = None if inside or request is None else W3C.extract(dict(request.headers), Context())
            return self._span(step, parent, SpanKind.INTERNAL if inside or request is None else SpanKind.SERVER)
        return self._span(step, None if inside or job is None else _parent(job), about=_about(job) if job else {})

    def traceparent(self) -> str | None:
        """Return the ``traceparent`` of the current span, if it has one."""
        carrier: dict[str, str] = {}
        W3C.inject(carrier)
        return carrier.get("traceparent")

    @contextmanager
    def _attempt(self, job: Job) -> Iterator[None]:
        parent = _parent(job)
        since = (job.attempts > 1 and job.available_at) or job.created_at
        queue = self._tracer.start_span("mediagate queue", parent, attributes=_about(job), start_time=_ns(since))
        # The start is by the database's clock, which may be ahead of this process's clock.
        queue.end(max(time_ns(), _ns(since)))
        with self._span("attempt", parent, SpanKind.CONSUMER, _about(job)):
            yield

    @contextmanager
    def _span(
        self, step: Step, parent: Context | None, kind: SpanKind = SpanKind.INTERNAL, about: Attributes | None = None
    ) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            f"mediagate {step}", parent, kind, about, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as exc:
                error = exc.code if isinstance(exc, MediagateError) else type(exc).__qualname__
                span.set_attribute("error.type", error)
                if not isinstance(exc, RequestError):  # the client's errors are not the server's
                    span.set_status(StatusCode.ERROR, error)
                raise


def _parent(job: Job) -> Context:
    """Return the context of the upload, which may have run in another process."""
    return W3C.extract({"traceparent": job.traceparent} if job.traceparent else {}, Context())


def _about(job: Job) -> dict[str, str | int]:
    return {
        "mediagate.job.id": job.id,
        "mediagate.source": job.source_type,
        "mediagate.job.attempt": job.attempts,
    }


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
