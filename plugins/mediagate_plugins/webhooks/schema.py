"""The JSON Schema (2020-12) of every webhook's body."""

from __future__ import annotations

from typing import Any

from mediagate import EventType, JobStatus

TEXT: dict[str, Any] = {"type": "string"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
MILLISECONDS: dict[str, Any] = {"type": "number", "minimum": 0}
MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
PICTURE_URL: dict[str, Any] = {"type": "string", "format": "uri"}


def event_schema() -> dict[str, Any]:
    """Return the schema: one of six objects, distinguished by ``type``."""
    data = {
        EventType.JOB_COMPLETED: _completed(),
        EventType.JOB_REJECTED: _job(
            "REJECTED",
            reason=_or_null(TEXT),
            code=_or_null(TEXT),
            moderationDetails=_object(flags=_list(TEXT), confidence={"type": "number", "minimum": 0, "maximum": 1}),
        ),
        EventType.JOB_FAILED: _job("FAILED", error=_or_null(TEXT), code=_or_null(TEXT), retryable={"type": "boolean"}),
        EventType.JOB_CANCELLED: _job("CANCELLED"),
        EventType.MEDIA_DELETED: _object(
            jobId=TEXT, mediaId=TEXT, sourceType=TEXT, sourceId=TEXT, clientReferenceId=_or_null(TEXT)
        ),
        EventType.BATCH_COMPLETED: _batch(),
    }
    events = [_object(type={"const": kind.value}, timestamp=MOMENT, data=schema) for kind, schema in data.items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mediagate event",
        "description": "The body of a webhook. Properties may be added; required ones are never removed.",
        "oneOf": events,
    }


def _job(status: str, **more: dict[str, Any]) -> dict[str, Any]:
    job = _object(
        jobId=TEXT,
        status={"const": status},
        sourceType=TEXT,
        sourceId=TEXT,
        clientReferenceId=_or_null(TEXT),
        attempts=COUNT,
        createdAt=MOMENT,
        startedAt=_or_null(MOMENT),
        finishedAt=MOMENT,
        kind={"enum": ["media", "pipeline"]},
        progress={"const": 100},
        stages=_list(_stage()),
        queueWaitMs=_or_null(COUNT),
        timings={"type": "object", "description": "Milliseconds by step.", "additionalProperties": {"type": "number"}},
        warnings=_list({"type": ["string", "object"], "description": "Texts; of a pipeline, objects with a detail."}),
        usage=_object(
            bytesIn=COUNT,
            bytesOut=COUNT,
            modelRuns=COUNT,
            cpuMs=_or_null(MILLISECONDS),
            wallMs=_or_null(MILLISECONDS),
        ),
        **more,
    )
    job["properties"] |= {
        "preset": _or_null(TEXT) | {"description": "Of a pipeline, like the next."},
        "presetVersion": _or_null(TEXT),
        "batchId": TEXT | {"description": "Of a job in a batch."},
    }
    later = {"owner": _or_null(TEXT), "credits": _object(amount=COUNT, charged={"type": "boolean"})}
    for name, property_ in later.items():
        job["properties"][name] = property_ | {"description": "Missing in events that release 0.1.0 wrote."}
    return job


def _batch() -> dict[str, Any]:
    ends = [str(status) for status in JobStatus if status.terminal]
    return _object(
        batchId=TEXT,
        status={"enum": ends},
        progress={"const": 100},
        total=COUNT,
        counts=_object(**{str(status): COUNT for status in JobStatus}),
        jobs=_list(
            _object(
                jobId=TEXT,
                status={"enum": ends},
                progress={"const": 100},
                code=_or_null(TEXT),
                clientReferenceId=_or_null(TEXT),
                finishedAt=MOMENT,
            )
        ),
        clientReferenceId=_or_null(TEXT),
        createdAt=MOMENT,
        finishedAt=MOMENT,
    )


def _stage() -> dict[str, Any]:
    stage = _object(
        name=TEXT,
        status={"enum": ["pending", "running", "done", "skipped", "failed"]},
        progress=COUNT | {"maximum": 100},
        ms=_or_null(MILLISECONDS),
    )
    stage["properties"]["op"] = TEXT | {"description": "The operation, for a step of a pipeline."}
    return stage


def _output() -> dict[str, Any]:
    output = _object(
        id=TEXT,
        name=TEXT,
        input=TEXT,
        filename=TEXT,
        format=TEXT,
        mimeType=TEXT,
        bytes=COUNT,
        width=COUNT,
        height=COUNT,
        frames=COUNT,
    )
    output["properties"]["page"] = COUNT | {"description": "The page of a document, from 1."}
    output["properties"]["url"] = PICTURE_URL | {"description": "Missing if the outputs were deleted before."}
    return output


def _completed() -> dict[str, Any]:
    schema = _job("COMPLETE")
    schema["required"].append("media")
    schema["properties"] |= {
        "media": _or_null(_media())
        | {"description": "null for a pipeline, and if the picture was deleted before this was sent."},
        "outputs": _list(_output()) | {"description": "Of a pipeline; see GET /status/{jobId} for its other fields."},
        "result": _or_null(_object(name=TEXT, url=PICTURE_URL, mimeType=TEXT, bytes=COUNT, width=COUNT, height=COUNT))
        | {"description": "The only output of a pipeline, or the largest variant; null without one, or with several."},
        "resultVariant": TEXT | {"description": "The largest variant below the gate's limit, if it sends any."},
        "resultContentType": TEXT,
        "resultBase64": TEXT | {"contentEncoding": "base64"},
    }
    return schema


def _media() -> dict[str, Any]:
    media = _always_in_media()
    media["properties"]["thumbhash"] = TEXT | {"description": "In Base64, if the source enables it."}
    media["properties"]["urlsExpireAt"] = MOMENT | {"description": "When the first URL of a private picture expires."}
    return media


def _always_in_media() -> dict[str, Any]:
    size = {"width": COUNT, "height": COUNT, "bytes": COUNT, "format": TEXT}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return _object(
        id=TEXT,
        sourceType=TEXT,
        sourceId=TEXT,
        urls={"type": "object", "additionalProperties": PICTURE_URL},
        srcset={"type": "object", "additionalProperties": TEXT},
        originalUrl=_or_null(PICTURE_URL),
        aspectRatio=TEXT,
        blurhash=TEXT,
        dominantColor={"type": "string", "pattern": "^#[0-9a-f]{6}$"},
        hasAlpha={"type": "boolean"},
        frames=COUNT,
        focalPoint=_object(x=share, y=share),
        removed=_list(TEXT),
        variants=_list(_object(name=TEXT, url=PICTURE_URL, **size)),
        clientReferenceId=_or_null(TEXT),
        createdAt=MOMENT,
        expiresAt=_or_null(MOMENT),
        **size,
    )


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": [schema["type"], "null"]}
