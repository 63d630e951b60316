"""The path of one image, from the quarantined file to the settlement of its job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

from mediagate.errors import ObjectNotFound, ProcessingError, ProcessingRefused, StagedFileLost
from mediagate.jobs.events import deletion_events
from mediagate.jobs.remote import RemoteModeration
from mediagate.moderation import count_review_as_reject
from mediagate.parts import Parts
from mediagate.records import Settlement
from mediagate.values import (
    EXTENSIONS,
    Job,
    JobStatus,
    Media,
    Rendered,
    RenderedFile,
    Stage,
    Variant,
    Verdict,
    media_prefixes,
    original_key,
    variant_key,
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


async def publish(job: Job, rendered: Rendered, parts: Parts) -> Media:
    """Write an approved picture's files under their public keys, all at once, and return the media that names them."""
    place = (job.source_type, job.source_id, job.media_id)

    def key_of(file: RenderedFile) -> str:
        extension = EXTENSIONS[file.format]
        return (
            original_key(*place, extension) if file is rendered.original else variant_key(*place, file.name, extension)
        )

    async with asyncio.TaskGroup() as writes:
        for file in rendered.files:
            writes.create_task(parts.storage.put(key_of(file), file.data))
    ttl, now = parts.sources[job.source_type].ttl, await parts.records.now()
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
        created_at=now,
        variants=tuple(Variant(v.name, key_of(v), v.format, v.width, v.height, len(v.data)) for v in rendered.variants),
        expires_at=now + ttl if ttl else None,
        owner_id=job.owner_id,
        thumbhash=rendered.thumbhash,
    )


async def unpublish(job: Job, parts: Parts) -> None:
    """Remove what an attempt may have published and no media names; a job that goes on keeps it.

    For an attempt to call after its last write: by then the media of another one may be deleted, with what it had.
    """
    keys = [
        info.key
        for prefix in media_prefixes(job.source_type, job.source_id, job.media_id)
        async for info in parts.storage.list(prefix)
    ]
    found = await parts.records.get_state(job.id)
    if found is None or found.job.status.terminal:
        named = found.media.keys if found is not None and found.media is not None else ()
        await parts.storage.delete([key for key in keys if key not in named])


async def delete_media(media: Media, parts: Parts) -> bool:
    """Delete a media's files and its record; ``False`` when the record had gone already."""
    # Files first: if this breaks off, the record still says what is left to delete.
    await parts.storage.delete(media.keys)
    events = deletion_events(media, parts, await parts.records.now())
    deleted = await parts.records.delete_media(media.id, events=events)
    # What an attempt that had lost its job wrote in between, and left to the media that it still found.
    await parts.storage.delete(media.keys)
    return deleted


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
