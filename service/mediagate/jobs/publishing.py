"""The published files of a job: writing them under its public keys, and removing them."""

from __future__ import annotations

import asyncio

from mediagate.jobs.events import deletion_events
from mediagate.parts import Parts
from mediagate.records import get_state
from mediagate.values import (
    EXTENSIONS,
    Job,
    Media,
    Rendered,
    RenderedFile,
    Variant,
    media_prefixes,
    original_key,
    variant_key,
)


async def publish(job: Job, rendered: Rendered, parts: Parts) -> Media:
    """Write an approved picture's files concurrently under their public keys; return the media that names them."""
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
    """Remove files that an attempt may have published and that no media names, unless the job continues.

    An attempt calls this after its last write: by then another attempt's media may have been deleted with its files.
    """
    keys = [
        info.key
        for prefix in media_prefixes(job.source_type, job.source_id, job.media_id)
        async for info in parts.storage.list(prefix)
    ]
    found = await get_state(parts.records, job.id)
    if found is None or found.job.status.terminal:
        named = found.media.keys if found is not None and found.media is not None else ()
        await parts.storage.delete([key for key in keys if key not in named])


async def delete_media(media: Media, parts: Parts) -> bool:
    """Delete a media's files and its record; ``False`` when the record was already deleted."""
    # Files first: after a crash in between, the record still names the files to delete.
    await parts.storage.delete(media.keys)
    events = deletion_events(media, parts, await parts.records.now())
    deleted = await parts.records.delete_media(media.id, events=events)
    # Again: an attempt that lost its lease may have written files in between, and left them to the media that it found.
    await parts.storage.delete(media.keys)
    return deleted
