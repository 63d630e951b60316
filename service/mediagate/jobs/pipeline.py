"""The path of an upload's job on one page: verdict, published files, end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

from mediagate.config import Source
from mediagate.errors import ObjectNotFound, ProcessingError, ProcessingRefused, StagedFileLost
from mediagate.jobs.attempt import Attempt
from mediagate.jobs.attempts import Attempts
from mediagate.jobs.judging import judge
from mediagate.jobs.publishing import publish
from mediagate.moderation import count_review_as_reject
from mediagate.records import Settlement
from mediagate.values import UPLOAD, Framing, JobStatus, Rendered, Stage, StageState, Verdict, ended_early

TIMED_AS = {"decode": "decode", "judge": "moderate", "encode": "encode"}
"""The names of the stages in ``timings``."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    """A picture that moderation allows to be published."""

    rendered: Rendered
    verdict: Verdict
    model_runs: int


class Pipeline(Attempts):
    """Runs the claimed uploads of one worker."""

    async def process(self, attempt: Attempt) -> Settlement:
        """Judge a picture, make its variants and publish them."""
        judged = await self._judge(attempt)
        if not isinstance(judged, _Allowed):
            return judged
        attempt.show(_until("publish", judged.rendered))
        await attempt.enter(Stage.PUBLISH, judged.model_runs)
        return await self._publish(attempt, judged)

    async def _judge(self, attempt: Attempt) -> _Allowed | Settlement:
        """Fetch the quarantined file, judge it and make its variants; returns the settlement if it is refused."""
        parts, job = self._parts, attempt.job
        source = parts.sources.get(job.source_type)
        if source is None:
            raise ProcessingError(f"source type {job.source_type!r} is not configured here; add it, or remove the job")
        try:
            with parts.observer.during("fetch", job=job):
                data = await parts.storage.get(job.staging_key)
        except ObjectNotFound:
            raise StagedFileLost("the quarantined file no longer exists; upload the picture again") from None

        async def look(judged_by: Source, *, previews: int) -> Rendered:
            with parts.observer.during("render", job=job):
                framing = Framing((job.focal_x, job.focal_y), job.crop)
                return await parts.images.render(
                    data, judged_by, framing=framing, previews=previews, told=lambda done: attempt.show(_after(done))
                )

        model_runs = 0
        try:
            await parts.hooks.run("pre_process", job)
            rendered = await judge(look, source, self._remote)
            model_runs = rendered.model_runs
            verdict = count_review_as_reject(rendered.verdict)
            await parts.hooks.run("pre_verdict", job, verdict)
            if verdict.decision != "allow":
                return _rejected(attempt, verdict, rendered, model_runs)
            await parts.hooks.run("pre_store", job, rendered)
        except ProcessingRefused as refusal:
            stages = ended_early(attempt.job.stages, failed=False)
            return Settlement(
                JobStatus.REJECTED, reason=refusal.detail, code=refusal.code, model_runs=model_runs, stages=stages
            )
        return _Allowed(rendered, verdict, model_runs)

    async def _publish(self, attempt: Attempt, allowed: _Allowed) -> Settlement:
        rendered, job = allowed.rendered, attempt.job
        publishing = perf_counter()
        with self._parts.observer.during("publish", job=job):
            media = await publish(job, rendered, self._parts)
        ended = perf_counter()
        publish_ms = round((ended - publishing) * 1000, 1)
        return Settlement(
            JobStatus.COMPLETE,
            media=media,
            verdict=allowed.verdict,
            warnings=rendered.warnings,
            timings_ms={
                **rendered.timings_ms,
                "publish": publish_ms,
                "total": round((ended - attempt.started) * 1000, 1),
            },
            bytes_out=sum(len(file.data) for file in rendered.files),
            stages=(*_until("publish", rendered)[:-1], StageState("publish", None, "done", 100, publish_ms)),
        )


def _rejected(attempt: Attempt, verdict: Verdict, rendered: Rendered, model_runs: int) -> Settlement:
    return Settlement(
        JobStatus.REJECTED,
        verdict=verdict,
        reason=verdict.reason,
        code="moderation_rejected",
        warnings=rendered.warnings,
        timings_ms={**rendered.timings_ms, "total": round((perf_counter() - attempt.started) * 1000, 1)},
        model_runs=model_runs,
        stages=ended_early(_until("encode", rendered), failed=False),
    )


def _after(done: str) -> tuple[StageState, ...]:
    """Return the stages of an upload of which ``done`` is the last that is done."""
    return _running(UPLOAD[UPLOAD.index(done) + 1])


def _running(name: str) -> tuple[StageState, ...]:
    at = UPLOAD.index(name)
    before = (StageState(one, None, "done", 100) for one in UPLOAD[:at])
    return (*before, StageState(name, None, "running"), *(StageState(one) for one in UPLOAD[at + 1 :]))


def _until(name: str, rendered: Rendered) -> tuple[StageState, ...]:
    """Return the stages of a rendered upload in which this one runs, with the times of those before."""
    timed = rendered.timings_ms
    return tuple(
        replace(stage, ms=timed.get(TIMED_AS[stage.name])) if stage.status == "done" else stage
        for stage in _running(name)
    )
