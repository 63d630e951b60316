"""The body of a webhook: ``type``, ``timestamp`` and ``data``, of a job the answer of ``GET /status`` and its owner.

A call of the ``callbackUrl`` of a job that was asked for in a dialect has the body of that dialect instead.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from mediagate import (
    STORAGE,
    CallbackForm,
    Event,
    EventType,
    Job,
    JobKind,
    JobStatus,
    MediaGate,
    ResultFile,
    Status,
    iso,
    mime_type_of,
)
from mediagate.errors import MediaDeleted, MediaNotFound, ObjectNotFound
from mediagate.records import get_state


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file of a job."""

    name: str
    """Of the output or the variant."""
    mime_type: str
    data: bytes

    def to_json(self) -> dict[str, str]:
        """Return the fields of a webhook."""
        return {
            "resultVariant": self.name,
            "resultContentType": self.mime_type,
            "resultBase64": base64.b64encode(self.data).decode(),
        }


async def body_of(gate: MediaGate, event: Event, *, result_max_bytes: int) -> bytes:
    """Return the body to send; raises ``Unavailable``.

    URLs are made for each attempt, so that signed ones are valid on delivery. Pictures and outputs that were
    deleted in the meantime are omitted.
    """
    data: dict[str, Any] = json.loads(event.data)
    if event.type is EventType.JOB_COMPLETED:
        data = await _completed(gate, event, result_max_bytes) or {**data, "result": None}
    return _encoded({"type": event.type.value, "timestamp": iso(event.created_at), "data": data})


async def dialect_body_of(
    gate: MediaGate, event: Event, job: Job, form: CallbackForm, *, result_max_bytes: int
) -> bytes:
    """Return the body about a job to send in a dialect; raises ``Unavailable``."""
    status = await _status(gate, job.id) if event.type is EventType.JOB_COMPLETED else None
    content = None if status is None else await _content(gate, status, result_max_bytes)
    return _encoded(form.body(status or Status(_as_told(job, event), None), content.data if content else None))


def _as_told(job: Job, event: Event) -> Job:
    """Return a job as it was when it ended: a FAILED one may have been retried since."""
    if event.type is not EventType.JOB_FAILED:
        return job
    told = json.loads(event.data)
    failure = {name: told[name] for name in ("error", "code", "retryable", "attempts")}
    return replace(job, status=JobStatus.FAILED, finished_at=event.created_at, **failure)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _completed(gate: MediaGate, event: Event, result_max_bytes: int) -> dict[str, Any] | None:
    """Return the data of a completed job; ``result`` is its file, if it has one that stands for it."""
    status = await _status(gate, event.job_id)
    if status is None:
        return None
    file: ResultFile | None = status.result
    content = await _content(gate, status, result_max_bytes)
    return {
        **status.to_json(poll_after_ms=0),
        "owner": status.job.owner_id,
        "result": None if file is None else file.to_json(),
        **({} if content is None else content.to_json()),
    }


async def _status(gate: MediaGate, job_id: str) -> Status | None:
    """Return the status of a job that is COMPLETE and has its files, else ``None``."""
    # Not from the cache of get_status, which may miss changes of another process.
    state = await get_state(gate.parts.records, job_id)
    if state is None or state.job.status is not JobStatus.COMPLETE:
        return None
    if state.job.kind is JobKind.PIPELINE:
        gate.runtime.watch.forget(job_id)
        with suppress(MediaDeleted):
            return await gate.get_status(job_id)
    if state.media is None:
        return None
    try:
        return Status(state.job, await gate.get_media(state.media.id))
    except MediaNotFound:
        return None


async def _content(gate: MediaGate, status: Status, max_bytes: int) -> Content | None:
    """Return the only output, or the largest variant of at most ``max_bytes``."""
    files = [(o.bytes, o.name, o.key, o.format) for o in status.outputs if len(status.outputs) == 1]
    if status.media is not None:
        files += [(v.bytes, v.name, v.key, v.format) for v in status.media.record.variants if v.first]
    fitting = [file for file in files if file[0] <= max_bytes]
    if not fitting:
        return None
    _, name, key, image_format = max(fitting, key=lambda file: file[0])
    try:
        return Content(name, mime_type_of(image_format), await gate[STORAGE].get(key))
    except ObjectNotFound:
        return None
