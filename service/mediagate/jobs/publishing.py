"""The published files of a job: writing them under its public keys, and removing them."""

from __future__ import annotations

import asyncio
from datetime import datetime

from mediagate.config import Source
from mediagate.jobs.events import deletion_events
from mediagate.parts import Parts
from mediagate.records import get_state
from mediagate.values import (
    EXTENSIONS,
    Job,
    JobKind,
    JobState,
    Media,
    Rendered,
    RenderedFile,
    Variant,
    media_prefixes,
    original_key,
    output_prefix,
    variant_key,
    variant_of,
)


async def publish(job: Job, rendered: Rendered, parts: Parts) -> Media:
    """Write an approved picture's files concurrently under their public keys; return the media that names them."""
    place = (job.source_type, job.source_id, job.media_id)

    def key_of(file: RenderedFile) -> str:
        extension = EXTENSIONS[file.format]
        if file is rendered.original:
            return original_key(*place, extension)
        return variant_key(*place, variant_of(file.name), extension)

    async with asyncio.TaskGroup() as writes:
        for file in rendered.files:
            writes.create_task(parts.storage.put(key_of(file), file.data))
    source, now = parts.sources[job.source_type], await parts.records.now()
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
        variants=tuple(
            Variant(v.name, key_of(v), v.format, v.width, v.height, len(v.data), _look_of(v, source, parts))
            for v in rendered.variants
        ),
        expires_at=now + source.ttl if source.ttl else None,
        owner_id=job.owner_id,
        thumbhash=rendered.thumbhash,
    )


def _look_of(file: RenderedFile, source: Source, parts: Parts) -> str | None:
    name = variant_of(file.name)
    spec = source.variants[name]
    if not spec.steps:
        return None
    from mediagate.images import look_of  # lazily, with Pillow and all operations

    return look_of(name, spec, parts.operations)


async def unpublish(job: Job, parts: Parts) -> None:
    """Remove files that an attempt may have published and that no media names, unless the job continues.

    An attempt calls this after its last write: by then another attempt's media may have been deleted with its files.
    """
    keys = await made_files(job, parts)
    found = await get_state(parts.records, job.id)
    if found is None or found.job.status.terminal:
        named = () if found is None else found.keys
        await parts.storage.delete([key for key in keys if key not in named])


async def made_files(job: Job, parts: Parts) -> list[str]:
    """Return the keys of all files that attempts at a job have published or made, whether or not a row names them."""
    place = (job.source_type, job.source_id, job.media_id)
    prefixes = (output_prefix(*place),) if job.kind is JobKind.PIPELINE else media_prefixes(*place)
    return [info.key for prefix in prefixes async for info in parts.storage.list(prefix)]


async def delete_outputs(state: JobState, parts: Parts, now: datetime) -> bool:
    """Delete the outputs of a complete pipeline and its data; ``False`` when they were already deleted."""
    # Files first: after a crash in between, the record still names the files to delete.
    await parts.storage.delete(state.keys)
    cleared = await parts.records.outputs.clear(state.job.id, now=now)
    # Again: an attempt that lost its lease may have written files in between.
    await parts.storage.delete(state.keys)
    return cleared


async def delete_media(media: Media, parts: Parts) -> bool:
    """Delete a media's files and its record; ``False`` when the record was already deleted."""
    # Files first: after a crash in between, the record still names the files to delete.
    await parts.storage.delete(media.keys)
    events = deletion_events(media, parts, await parts.records.now())
    deleted = await parts.records.delete_media(media.id, events=events)
    # Again: an attempt that lost its lease may have written files in between, and left them to the media that it found.
    await parts.storage.delete(media.keys)
    return deleted
