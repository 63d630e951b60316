"""The body of a webhook: ``type``, ``timestamp`` and ``data``, of a job the answer of ``GET /status`` and its owner."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

from mediagate import STORAGE, Event, EventType, JobKind, JobStatus, Media, MediaGate, Status, iso
from mediagate.errors import MediaDeleted, MediaNotFound, ObjectNotFound
from mediagate.records import get_state


async def body_of(gate: MediaGate, event: Event, *, result_max_bytes: int) -> bytes:
    """Return the body to send; raises ``Unavailable``.

    URLs are made for each attempt, so that signed ones are valid on delivery. Pictures and outputs that were
    deleted in the meantime are omitted.
    """
    data: dict[str, Any] = json.loads(event.data)
    if event.type is EventType.JOB_COMPLETED:
        data = await _completed(gate, event, result_max_bytes) or {**data, "result": None}
    body = {"type": event.type.value, "timestamp": iso(event.created_at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _completed(gate: MediaGate, event: Event, result_max_bytes: int) -> dict[str, Any] | None:
    # Not by get_status, which may answer from a cache that misses changes of another process.
    state = await get_state(gate.parts.records, event.job_id)
    if state is None or state.job.status is not JobStatus.COMPLETE:
        return None
    if state.job.kind is JobKind.PIPELINE:
        with suppress(MediaDeleted):
            return _told(await gate.get_status(event.job_id))
    if state.media is None:
        return None
    try:
        media = await gate.get_media(state.media.id)
    except MediaNotFound:
        return None
    return _told(Status(state.job, media)) | await _content(gate, state.media, result_max_bytes)


def _told(status: Status) -> dict[str, Any]:
    """Return the data of a completed job; ``result`` is its file, if it has one that stands for it."""
    file = status.result
    more = {"owner": status.job.owner_id, "result": None if file is None else file.to_json()}
    return status.to_json(poll_after_ms=0) | more


async def _content(gate: MediaGate, media: Media, max_bytes: int) -> dict[str, str]:
    """Return the content of the largest variant of at most ``max_bytes``."""
    fitting = [variant for variant in media.variants if variant.first and variant.bytes <= max_bytes]
    if not fitting:
        return {}
    variant = max(fitting, key=lambda v: v.bytes)
    try:
        data = await gate[STORAGE].get(variant.key)
    except ObjectNotFound:
        return {}
    return {
        "resultVariant": variant.name,
        "resultContentType": f"image/{variant.format}",
        "resultBase64": base64.b64encode(data).decode(),
    }
