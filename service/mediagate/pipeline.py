"""The path of one image, from the quarantined file to the settlement of its job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from mediagate.errors import ObjectNotFound, ProcessingError, ProcessingRefused, StagedFileLost
from mediagate.media import (
    EXTENSIONS,
    Job,
    JobStatus,
    Media,
    Rendered,
    RenderedFile,
    Stage,
    Variant,
    Verdict,
    original_key,
    variant_key,
)
from mediagate.moderation import count_review_as_reject
from mediagate.parts import Parts
from mediagate.records import Settlement

Enter = Callable[[Stage], Awaitable[None]]
"""Records that a job enters a stage; raises when the job is no longer ours."""


async def process(job: Job, parts: Parts, enter: Enter) -> Settlement:
    """Take a claimed job to its settlement; raises what the worker classifies as retryable or final."""
    source = parts.sources.get(job.source_type)
    if source is None:
        raise ProcessingError(f"source type {job.source_type!r} is not configured here; add it, or remove the job")
    started = perf_counter()
    try:
        data = await parts.storage.get(job.staging_key)
    except ObjectNotFound:
        raise StagedFileLost("the quarantined file is gone; upload the picture again") from None
    try:
        await parts.hooks.run("pre_process", job)
        rendered = await parts.images.render(data, source, focal=(job.focal_x, job.focal_y))
        verdict = count_review_as_reject(rendered.verdict)
        await parts.hooks.run("pre_verdict", job, verdict)
        if verdict.decision != "allow":
            return _rejected(verdict, rendered)
        await parts.hooks.run("pre_store", job, rendered)
    except ProcessingRefused as refusal:
        return Settlement(JobStatus.REJECTED, reason=refusal.detail, code=refusal.code)

    await enter(Stage.PUBLISH)
    publishing = perf_counter()
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
    )


async def publish(job: Job, rendered: Rendered, parts: Parts) -> Media:
    """Write an approved picture's files under their public keys, all at once, and return the media that names them."""
    place = (job.source_type, job.source_id, job.media_id)

    def key_of(file: RenderedFile) -> str:
        extension = EXTENSIONS[file.format]
        return (
            original_key(*place, extension) if file is rendered.original else variant_key(*place, file.name, extension)
        )

    files = [*rendered.variants, *([rendered.original] if rendered.original else [])]
    async with asyncio.TaskGroup() as writes:
        for file in files:
            writes.create_task(parts.storage.put(key_of(file), file.data))
    return Media(
        id=job.media_id,
        job_id=job.id,
        source_type=job.source_type,
        source_id=job.source_id,
        original_key=key_of(rendered.original) if rendered.original else None,
        format=rendered.info.format,
        width=rendered.info.width,
        height=rendered.info.height,
        bytes=job.bytes,
        aspect_ratio=rendered.aspect_ratio,
        blurhash=rendered.blurhash,
        dominant_color=rendered.dominant_color,
        has_alpha=rendered.has_alpha,
        frames=rendered.info.frames,
        focal_x=job.focal_x,
        focal_y=job.focal_y,
        removed=rendered.removed,
        client_reference_id=job.client_reference_id,
        created_at=await parts.records.now(),
        variants=tuple(Variant(v.name, key_of(v), v.format, v.width, v.height, len(v.data)) for v in rendered.variants),
    )


async def unpublish(job: Job, parts: Parts) -> None:
    """Remove whatever an attempt may have published for a job that did not complete."""
    keys = [
        info.key
        for root in ("media", "originals")
        async for info in parts.storage.list(f"{root}/{job.source_type}/{job.source_id}/{job.media_id}/")
    ]
    await parts.storage.delete(keys)


def _rejected(verdict: Verdict, rendered: Rendered) -> Settlement:
    return Settlement(
        JobStatus.REJECTED,
        verdict=verdict,
        reason=verdict.reason,
        code="moderation_rejected",
        warnings=rendered.warnings,
        timings_ms=rendered.timings_ms,
    )
