"""Counts the gate's observations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter

from starlette.requests import Request

from mediagate import Job, JobState, JobStatus, RejudgementStatus, Source
from mediagate.observe import DeliveryEnd, ImageProcessEnd, Observer, Step, StorageCall
from mediagate_plugins.metrics import instruments as of

OTHER = "other"
"""Replaces unknown values, so that the values of a label stay bounded."""
RENDERING = ("decode", "resize", "moderate", "steps", "encode", "original", "blurhash", "thumbhash")
"""The stages of the image process, as named in a job's timings."""
STAGES = ("queue", "fetch", "render", "publish", "record", "finish", *RENDERING, OTHER)
ENDED = tuple(str(status) for status in JobStatus if status.terminal)
STORAGE_CALLS = ("put", "get", "stream", "stat", "copy", "delete", "list")
DECISIONS = ("allow", "review", "reject")
DELIVERY_ENDS: Collection[DeliveryEnd] = ("delivered", "failed", "given_up")
ENDS: Collection[ImageProcessEnd] = ("crashed", "timeout", "idle", "start")
REJUDGED: Mapping[RejudgementStatus, str] = {
    RejudgementStatus.PASSED: "passed",
    RejudgementStatus.FELL: "fell",
    RejudgementStatus.REVIEW: "fell",
    RejudgementStatus.REJECTED: "fell",
    RejudgementStatus.FAILED: "failed",
    RejudgementStatus.GONE: "gone",
}
"""The outcome of each status with which a worker ends a re-judgement."""


class MetricsObserver(Observer):
    """Counts for one gate; in one process all gates count together."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._labels = {name: {*source.reject, *source.review} for name, source in sources.items()}
        for source in sources:
            of.JOB_SECONDS.labels(source)
            of.UPLOAD_BYTES.labels(source)
            of.IMAGE_CPU.labels(source)
            for status in ENDED:
                of.JOBS.labels(source, status)
            for decision in DECISIONS:
                of.VERDICTS.labels(source, decision)
            for outcome in REJUDGED.values():
                of.REJUDGED.labels(source, outcome)
        for stage in STAGES:
            of.STAGE_SECONDS.labels(stage)
        for call in STORAGE_CALLS:
            of.STORAGE_SECONDS.labels(call)
            of.STORAGE_ERRORS.labels(call)
        for reason in ENDS:
            of.IMAGE_PROCESS_ENDS.labels(reason)
        self._asked = {known: of.STATUS_ANSWERS.labels("memory" if known else "records") for known in (True, False)}
        # A process may have the pid, and so the file, of one that died.
        of.RUNNING.set(0)
        of.WORKERS.set(0)

    # -- hooks

    async def count_upload(self, job: Job) -> None:
        """Count an accepted upload."""
        of.UPLOAD_BYTES.labels(self._source(job)).observe(job.bytes)

    async def count_end(self, state: JobState) -> None:
        """Count an ended job, its verdict, and its time in the image process; one that ended before is not counted."""
        job = state.job
        if job.taken_down:
            return
        source = self._source(job)
        of.JOBS.labels(source, str(job.status)).inc()
        if job.finished_at is not None:
            of.JOB_SECONDS.labels(source).observe(max(0.0, (job.finished_at - job.created_at).total_seconds()))
        for stage, taken_ms in job.timings_ms.items():
            if stage == "cpu":
                of.IMAGE_CPU.labels(source).inc(taken_ms / 1000)
            elif stage not in ("publish", "total"):  # measured by ``during``
                of.STAGE_SECONDS.labels(stage if stage in RENDERING else OTHER).observe(taken_ms / 1000)
        if job.verdict is not None and job.verdict.model != "off":
            of.VERDICTS.labels(source, job.verdict.decision).inc()
            for flag in job.verdict.flags:
                of.FLAGS.labels(source, flag if flag in self._labels.get(source, ()) else OTHER).inc()

    # -- observer

    def during(
        self, step: Step, *, job: Job | None = None, request: Request | None = None
    ) -> AbstractContextManager[object]:
        """Measure a step."""
        if step == "attempt" and job is not None:
            return self._attempt(job)
        return _timed(step)

    @contextmanager
    def _attempt(self, job: Job) -> Iterator[None]:
        if job.attempts == 1 and job.code is None and job.started_at is not None:
            of.STAGE_SECONDS.labels("queue").observe(max(0.0, (job.started_at - job.created_at).total_seconds()))
        with of.RUNNING.track_inprogress():
            yield

    def storage_called(self, call: StorageCall, seconds: float, *, failed: bool) -> None:
        """Count and measure a call of the storage."""
        of.STORAGE_SECONDS.labels(call).observe(seconds)
        if failed:
            of.STORAGE_ERRORS.labels(call).inc()

    def status_asked(self, *, in_memory: bool) -> None:
        """Count a read of a job's status."""
        self._asked[in_memory].inc()

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        """Count a replaced image process."""
        of.IMAGE_PROCESS_ENDS.labels(why).inc()

    def refused(self, code: str) -> None:
        """Count an error answer."""
        of.ERROR_ANSWERS.labels(code).inc()

    def delivery_ended(self, endpoint: str, how: DeliveryEnd) -> None:
        """Count an attempt to deliver an event."""
        for end in DELIVERY_ENDS:
            of.DELIVERIES.labels(endpoint, end).inc(end == how)

    def rejudged(self, source_type: str, status: RejudgementStatus) -> None:
        """Count a published picture that was judged again."""
        of.REJUDGED.labels(source_type, REJUDGED[status]).inc()

    def _source(self, job: Job) -> str:
        return job.source_type if job.source_type in self._labels else OTHER


@contextmanager
def _timed(step: Step) -> Iterator[None]:
    began = perf_counter()
    try:
        yield
    finally:
        taken = perf_counter() - began
        (of.UPLOAD_SECONDS if step == "upload" else of.STAGE_SECONDS.labels(step)).observe(taken)
