"""The public view of a job: the result of ``get_status``, its JSON and its HTTP status code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mediagate.values.job import Job, JobKind, JobState, JobStatus, Stage
from mediagate.values.media import Media
from mediagate.values.pipeline import Output
from mediagate.values.pipeline_status import pipeline_json
from mediagate.values.result_file import ResultFile
from mediagate.values.srcset import srcset_of
from mediagate.values.times import iso


@dataclass(frozen=True, slots=True)
class FileUrl:
    """The URL of a published file and its expiry (UTC); ``None``: it never expires."""

    url: str
    expires_at: datetime | None = None


UrlOf = Callable[[str], FileUrl]
"""Turns a published storage key into its URL."""

HTTP_STATUS: Mapping[JobStatus, int] = {
    JobStatus.PENDING: 202,
    JobStatus.PROCESSING: 202,
    JobStatus.COMPLETE: 200,
    JobStatus.REJECTED: 400,
    JobStatus.FAILED: 500,
    JobStatus.CANCELLED: 410,
}
"""The HTTP status code for each job status."""


@dataclass(frozen=True, slots=True)
class PublishedMedia:
    """A media with the URLs of its files; everything else is on ``record``."""

    record: Media
    urls: Mapping[str, str]
    """URL by variant name, of the file of its first format."""
    original_url: str | None
    urls_expire_at: datetime | None = None
    """When the first of the URLs expires (UTC); ``None``: they never expire."""
    file_urls: Mapping[str, str] = field(default_factory=dict)
    """URL of each file of ``record.variants``, by its name."""

    @property
    def id(self) -> str:
        """The media's id."""
        return self.record.id

    @property
    def blurhash(self) -> str:
        """The placeholder string."""
        return self.record.blurhash

    @property
    def thumbhash(self) -> str | None:
        """The ThumbHash in Base64, if the source asked for one."""
        return self.record.thumbhash

    @property
    def largest(self) -> ResultFile | None:
        """The largest variant, in its first format."""
        firsts = [variant for variant in self.record.variants if variant.first]
        if not firsts:
            return None
        v = max(firsts, key=lambda variant: variant.width * variant.height)
        return ResultFile(v.name, self.file_urls[v.name], v.format, v.width, v.height, v.bytes)

    @property
    def srcset(self) -> dict[str, str]:
        """The ``srcset`` of each format, of the variants that show the same as the largest one."""
        return srcset_of(self.record.variants, self.file_urls)

    def to_json(self) -> dict[str, Any]:
        """Return the ``media`` object of the HTTP API."""
        media = self.record
        return {
            "id": media.id,
            "sourceType": media.source_type,
            "sourceId": media.source_id,
            "urls": dict(self.urls),
            "srcset": self.srcset,
            "originalUrl": self.original_url,
            **({"urlsExpireAt": iso(self.urls_expire_at)} if self.urls_expire_at else {}),
            "width": media.width,
            "height": media.height,
            "aspectRatio": media.aspect_ratio,
            "blurhash": media.blurhash,
            **({"thumbhash": media.thumbhash} if media.thumbhash is not None else {}),
            "dominantColor": media.dominant_color,
            "format": media.format,
            "bytes": media.bytes,
            "hasAlpha": media.has_alpha,
            "frames": media.frames,
            "focalPoint": {"x": media.focal_x, "y": media.focal_y},
            "removed": list(media.removed),
            "variants": [
                {
                    "name": v.name,
                    "url": self.file_urls[v.name],
                    "format": v.format,
                    "width": v.width,
                    "height": v.height,
                    "bytes": v.bytes,
                }
                for v in media.variants
            ],
            "clientReferenceId": media.client_reference_id,
            "createdAt": iso(media.created_at),
            "expiresAt": iso(media.expires_at),
        }


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a job; ``media`` is set if it is ``COMPLETE``, except in a list after the media was deleted.

    A pipeline has ``outputs`` instead, with their URLs by position in ``output_urls``.
    """

    job: Job
    media: PublishedMedia | None
    outputs: tuple[Output, ...] = ()
    output_urls: Mapping[int, str] = field(default_factory=dict)
    download_url: str | None = None
    """Where all outputs can be downloaded together."""

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.job.id

    @property
    def status(self) -> JobStatus:
        """The job's status."""
        return self.job.status

    @property
    def stage(self) -> Stage:
        """The job's current stage."""
        return self.job.stage

    @property
    def progress(self) -> int:
        """Percentage of the work done."""
        return self.job.progress

    @property
    def queue_wait_ms(self) -> int | None:
        """Milliseconds from the request to the first attempt; ``None`` before it."""
        job = self.job
        return None if job.started_at is None else (job.started_at - job.created_at) // timedelta(milliseconds=1)

    @property
    def reason(self) -> str | None:
        """Why the picture was rejected."""
        return self.job.reason

    @property
    def error(self) -> str | None:
        """The last error and its stage."""
        return self.job.error

    @property
    def result(self) -> ResultFile | None:
        """The only output, or the largest variant of the media; ``None`` without a file, and for several outputs."""
        if self.media is not None:
            return self.media.largest
        if len(self.outputs) != 1 or self.outputs[0].position not in self.output_urls:
            return None
        (o,) = self.outputs
        return ResultFile(o.name, self.output_urls[o.position], o.format, o.width, o.height, o.bytes)

    @property
    def http_status(self) -> int:
        """The HTTP status code of ``GET /status/{jobId}``."""
        return HTTP_STATUS[self.job.status]

    def to_json(self, *, poll_after_ms: int, estimated_s: int | None = None) -> dict[str, Any]:
        """Return the body of ``GET /status/{jobId}``; ``estimated_s`` is the time until the end of a live job."""
        job = self.job
        body: dict[str, Any] = {"jobId": job.id, "status": str(job.status)}
        match job.status:
            case JobStatus.PENDING | JobStatus.PROCESSING:
                body |= {"stage": str(job.stage), "progress": self.progress, "pollAfterMs": poll_after_ms}
                if job.error:
                    body["lastError"] = job.error
                body["estimatedSeconds"] = estimated_s
            case JobStatus.COMPLETE:
                body["media"] = self.media.to_json() if self.media else None
            case JobStatus.REJECTED:
                verdict = job.verdict
                body |= {
                    "reason": job.reason,
                    "code": job.code,
                    "moderationDetails": {
                        "flags": list(verdict.flags) if verdict else [],
                        "confidence": verdict.confidence if verdict else 0.0,
                        **({} if verdict is None or verdict.complete else {"complete": False}),
                    },
                }
            case JobStatus.FAILED:
                body |= {
                    "error": job.error,
                    "attempts": job.attempts,
                    "code": job.code,
                    "retryable": job.retryable,
                }
        body |= {
            "kind": str(job.kind),
            "progress": self.progress,
            "stages": [stage.to_json() for stage in job.plan],
            "sourceType": job.source_type,
            "sourceId": job.source_id,
            "clientReferenceId": job.client_reference_id,
            "attempts": job.attempts,
            "createdAt": iso(job.created_at),
            "startedAt": iso(job.started_at),
            "finishedAt": iso(job.finished_at),
            "queueWaitMs": self.queue_wait_ms,
            "timings": dict(job.timings_ms),
            "warnings": list(job.warnings),
            "credits": {"amount": job.credits, "charged": job.status is JobStatus.COMPLETE},
            "usage": {
                "bytesIn": job.bytes,
                "bytesOut": job.bytes_out,
                "modelRuns": job.model_runs,
                "cpuMs": job.timings_ms.get("cpu"),
                "wallMs": job.timings_ms.get("total"),
            },
        }
        if job.batch_id is not None:
            body["batchId"] = job.batch_id
        if job.kind is JobKind.PIPELINE:
            body |= pipeline_json(job, self.outputs, self.output_urls, self.download_url)
        return body


def published(media: Media, url_of: UrlOf) -> PublishedMedia:
    """Add the URLs to a media."""
    files = {v.name: url_of(v.key) for v in media.variants}
    original = url_of(media.original_key) if media.original_key else None
    expiring = [file.expires_at for file in (*files.values(), original) if file and file.expires_at]
    if expiring and media.expires_at:
        expiring.append(media.expires_at)
    return PublishedMedia(
        record=media,
        urls={v.name: files[v.name].url for v in media.variants if v.first},
        original_url=original.url if original else None,
        urls_expire_at=min(expiring, default=None),
        file_urls={name: file.url for name, file in files.items()},
    )


def status_of(state: JobState, url_of: UrlOf) -> Status:
    """Return the public view of a job's state."""
    media = published(state.media, url_of) if state.media else None
    urls = {output.position: url_of(output.key).url for output in state.outputs}
    return Status(state.job, media, state.outputs, urls)
