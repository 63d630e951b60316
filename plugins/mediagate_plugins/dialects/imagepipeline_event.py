"""ImagePipeline's words for a job, its ``WebhookEvent``, and the JSON Schema of that."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from mediagate import Job, JobStatus, ResultFile, Status
from mediagate_plugins.dialects.dialect import Failure, failure_of, images_of

WORDS = {
    JobStatus.PROCESSING: "processing",
    JobStatus.COMPLETE: "completed",
    JobStatus.REJECTED: "failed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}

_NAME = {"type": "string", "description": "The name of the output."}
_URL = {"type": "string", "format": "uri", "description": "Signed, and valid for a limited time."}
_MIME_TYPE = {"type": "string", "pattern": "^(image|application)/[a-z0-9.+-]+$"}
_SIZE = {"type": "integer", "minimum": 0}
_RESULT = {"name": _NAME, "result_url": _URL, "result_mime_type": _MIME_TYPE, "result_size_bytes": _SIZE}
_FAILURE = {
    "error": {"type": "string"},
    "failure_reason_code": {"type": "string"},
    "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


EVENT_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "WebhookEvent",
    "description": "Is sent to the callback_url of a job when it is completed or has failed.",
    "type": "object",
    "properties": {
        "job_id": {"type": "string"},
        "user_id": {"type": ["string", "null"], "description": "The owner of the job; null without access control."},
        "status": {"enum": ["completed", "failed"]},
        "result_url": _or_null(_URL),
        "result_mime_type": _or_null(_MIME_TYPE),
        "result_size_bytes": _or_null(_SIZE),
        "result_base64": {"type": "string", "contentEncoding": "base64", "description": "The file, if it is small."},
        "results": {
            "description": "All outputs, if there are several; the first is the one of result_url.",
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "properties": _RESULT,
                "required": list(_RESULT),
                "additionalProperties": False,
            },
        },
        "timestamp": {"type": "integer", "description": "When the job ended, in seconds since 1970 (UTC)."},
        **_FAILURE,
    },
    "required": [
        *("job_id", "user_id", "status", "result_url", "result_mime_type", "result_size_bytes", "timestamp"),
    ],
    "additionalProperties": False,
    "if": {"properties": {"status": {"const": "failed"}}},
    "then": {
        "required": list(_FAILURE),
        "properties": {
            **{name: {"type": "null"} for name in ("result_url", "result_mime_type", "result_size_bytes")},
            **dict.fromkeys(("result_base64", "results"), False),
        },
    },
    "else": {"properties": dict.fromkeys(_FAILURE, False)},
}


def event_of(status: Status, content: bytes | None) -> Mapping[str, Any]:
    """Return the ``WebhookEvent`` of a job that has a result or failed; ``content`` is that of its only file."""
    job, failure, files = status.job, failure_of(status), images_of(status)
    return {
        "job_id": job.id,
        "user_id": job.owner_id,
        "status": WORDS[job.status],
        **result_of(files),
        "result_size_bytes": files[0].bytes if files else None,
        **({} if content is None else {"result_base64": base64.b64encode(content).decode()}),
        "timestamp": int((job.finished_at or job.created_at).timestamp()),
        **failed(failure),
    }


def word_of(job: Job) -> str:
    """Return the word for a job's status: it is pending between two attempts."""
    return WORDS.get(job.status) or ("queued" if job.attempts == 0 else "pending")


def result_of(files: Sequence[ResultFile]) -> dict[str, Any]:
    """Return the fields of the first file, and all files if there are several."""
    told = [{"result_url": file.url, "result_mime_type": file.mime_type} for file in files]
    first = told[0] if told else {"result_url": None, "result_mime_type": None}
    if len(files) < 2:
        return first
    more = [{"name": file.name, **one, "result_size_bytes": file.bytes} for file, one in zip(files, told, strict=True)]
    return {**first, "results": more}


def failed(failure: Failure | None) -> dict[str, Any]:
    """Return the fields of a failure, if there is one."""
    if failure is None:
        return {}
    return {"error": failure.text, "failure_reason_code": failure.code, "retryable": failure.retryable}
