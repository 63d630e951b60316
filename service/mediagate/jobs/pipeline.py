"""The path of one image, from the quarantined file to the settlement of its job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from mediagate.errors import ObjectNotFound, ProcessingError, ProcessingRefused, StagedFileLost
from mediagate.jobs.publishing import publish
from mediagate.jobs.remote_moderation import RemoteModeration
from mediagate.moderation import count_review_as_reject
from mediagate.parts import Parts
from mediagate.records import Settlement
from mediagate.values import (
    Job,
    JobStatus,
    Rendered,
    Stage,
    Verdict,
)

Enter = Callable[[Stage, int], Awaitable[None]]
"""Records that a job enters a stage, after so many model runs; raises when the job is no longer ours."""


async def process(job: Job, parts: Parts, remote: RemoteModeration | None, enter: Enter) -> Settlement:
    """Take a claimed job to its settlement; raises what the worker classifies as retryable or final."""
    source = parts.sources.get(job.source_type)
    if source is None:
        raise ProcessingError(f"source type {job.source_type!r} is not configured here; add it, or remove the job")
    started = perf_counter()
    try:
        with parts.observer.during("fetch", job=job):
            data = await parts.storage.get(job.staging_key)
    except ObjectNotFound:
        raise StagedFileLost("the quarantined file is gone; upload the picture again") from None
    model_runs = 0
    try:
        await parts.hooks.run("pre_process", job)
        with parts.observer.during("render", job=job):
            focal = (job.focal_x, job.focal_y)
            judged_by = source if remote is None else remote.locally(source)
            previews = 0 if remote is None else remote.input_edge
            rendered = await parts.images.render(data, judged_by, focal=focal, previews=previews)
        model_runs = 0 if remote is not None and remote.alone else rendered.model_runs
        if remote is not None and rendered.verdict.decision == "allow":
            model_runs += len(rendered.previews)
            rendered = await remote.judged(rendered, source)
        verdict = count_review_as_reject(rendered.verdict)
        await parts.hooks.run("pre_verdict", job, verdict)
        if verdict.decision != "allow":
            return _rejected(verdict, rendered, model_runs, started)
        await parts.hooks.run("pre_store", job, rendered)
    except ProcessingRefused as refusal:
        return Settlement(JobStatus.REJECTED, reason=refusal.detail, code=refusal.code, model_runs=model_runs)

    await enter(Stage.PUBLISH, model_runs)
    publishing = perf_counter()
    with parts.observer.during("publish", job=job):
        media = await publish(job, rendered, parts)
    ended = perf_counter()
    return Settlement(
        JobStatus.COMPLETE,
        media=media,
        verdict=verdict,
        warnings=rendered.warnings,
        timings_ms={
            **rendered.timings_ms,
            "publish": round((ended - publishing) * 1000, 1),
            "total": round((ended - started) * 1000, 1),
        },
        bytes_out=sum(len(file.data) for file in rendered.files),
    )


def _rejected(verdict: Verdict, rendered: Rendered, model_runs: int, started: float) -> Settlement:
    return Settlement(
        JobStatus.REJECTED,
        verdict=verdict,
        reason=verdict.reason,
        code="moderation_rejected",
        warnings=rendered.warnings,
        timings_ms={**rendered.timings_ms, "total": round((perf_counter() - started) * 1000, 1)},
        model_runs=model_runs,
    )
