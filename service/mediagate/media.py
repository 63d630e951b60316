"""The values that travel through mediagate: jobs, media, verdicts, and what the image process is told and answers."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

Decision = Literal["allow", "review", "reject"]


class JobStatus(StrEnum):
    """Where a job stands; the last four are terminal."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether the job will not change any more by itself."""
        return self not in (JobStatus.PENDING, JobStatus.PROCESSING)


class Stage(StrEnum):
    """The step that a job is at, in order."""

    QUEUED = "queued"
    MODERATE = "moderate"
    PUBLISH = "publish"
    RECORD = "record"
    DONE = "done"

    @property
    def progress(self) -> int:
        """Percent of the path behind the job when it enters this stage."""
        return {"queued": 0, "moderate": 10, "publish": 70, "record": 90, "done": 100}[self.value]


def new_id(prefix: Literal["job", "med", "upl", "evt", "db"]) -> str:
    """Return an unguessable identifier such as ``job_3k5…`` (128 random bits, lower-case base 32)."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}"


def utcnow() -> datetime:
    """Return the present in UTC at millisecond precision, which is what both databases keep."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def iso(moment: datetime | None) -> str | None:
    """Return a moment as JSON carries it: ISO 8601 in UTC with milliseconds, such as ``2026-01-31T12:00:00.000Z``."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a moderator, and then the policy of the source, says of an image.

    ``scores`` maps each label to its probability (0-1); ``flags`` names the labels or groups that decided,
    ``confidence`` is the highest score among them. ``model`` and ``model_hash`` (SHA-256, hex) say who judged.
    """

    decision: Decision = "allow"
    flags: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.0
    model: str = ""
    model_hash: str = ""
    reason: str = ""
    complete: bool = True
    """Whether everything was judged that is to be; a rejection stops the rest, so that scores may be too low."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image's header says, orientation already applied to ``width`` and ``height`` (pixels)."""

    format: str
    """``jpeg``, ``png``, ``webp``, ``gif``, ``avif`` or ``heic``."""
    width: int
    height: int
    frames: int = 1


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One encoded file: a variant or the cleaned original."""

    name: str
    format: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the image process answers. A rejected image has a verdict and no files."""

    verdict: Verdict
    info: ImageInfo
    variants: tuple[RenderedFile, ...] = ()
    original: RenderedFile | None = None
    blurhash: str = ""
    thumbhash: str | None = None
    """ThumbHash in Base64, where the source asks for one."""
    dominant_color: str = ""
    """``#rrggbb``"""
    aspect_ratio: str = ""
    has_alpha: bool = False
    removed: tuple[str, ...] = ()
    """What metadata was taken out, such as ``gps``, ``serial``, ``thumbnail``."""
    warnings: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    model_runs: int = 0
    """How often the model ran on it."""
    previews: tuple[bytes, ...] = ()
    """JPEGs of all that was judged, when they were asked for."""

    @property
    def files(self) -> tuple[RenderedFile, ...]:
        """All files that are to be published."""
        return (*self.variants, self.original) if self.original else self.variants


@dataclass(frozen=True, slots=True)
class Variant:
    """One published size of a media."""

    name: str
    key: str
    format: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Media:
    """An approved picture and its published files."""

    id: str
    job_id: str
    source_type: str
    source_id: str
    original_key: str | None
    format: str
    width: int
    height: int
    bytes: int
    aspect_ratio: str
    blurhash: str
    dominant_color: str
    has_alpha: bool
    frames: int
    focal_x: float
    focal_y: float
    removed: tuple[str, ...]
    client_reference_id: str | None
    created_at: datetime
    variants: tuple[Variant, ...] = ()
    expires_at: datetime | None = None
    """From then on it counts as deleted, and the janitor removes it; ``None``: never."""
    owner_id: str | None = None
    """Who uploaded it; ``None`` where nobody was asked."""
    thumbhash: str | None = None
    """ThumbHash in Base64; ``None`` where the source did not ask for one."""

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def keys(self) -> list[str]:
        """The storage keys of every published file."""
        return [v.key for v in self.variants] + ([self.original_key] if self.original_key else [])


@dataclass(frozen=True, slots=True)
class Job:
    """One upload being worked on."""

    id: str
    source_type: str
    source_id: str
    media_id: str
    """The id that the media will have, fixed at upload: keys are deterministic, so a retry overwrites."""
    staging_key: str
    format: str
    bytes: int
    sha256: str
    width: int
    height: int
    created_at: datetime
    filename: str = ""
    client_reference_id: str | None = None
    callback_url: str | None = None
    focal_x: float = 0.5
    focal_y: float = 0.5
    status: JobStatus = JobStatus.PENDING
    stage: Stage = Stage.QUEUED
    attempts: int = 0
    max_attempts: int = 3
    lease_owner: str | None = None
    lease_until: datetime | None = None
    available_at: datetime | None = None
    """Not claimable before this moment (back-off); ``None``: at once."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    notified_at: datetime | None = None
    """When the ``on_*`` hooks of the terminal status had run; ``None`` on a terminal job: they must run again."""
    reason: str | None = None
    error: str | None = None
    code: str | None = None
    retryable: bool = False
    verdict: Verdict | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    owner_id: str | None = None
    """Who uploaded it; ``None`` where nobody was asked."""
    key_id: str | None = None
    """The credential with which it was uploaded, if the owner has several and they are told apart."""
    bytes_out: int = 0
    """Bytes of all files that were published."""
    model_runs: int = 0
    """How often the model has run on parts of the picture, over all attempts."""
    traceparent: str | None = None
    """The W3C trace context of the upload, under which whoever works on the job goes on with its trace."""
    priority: int = 0
    """Its source's rank: jobs of a lower one are claimed first."""
    turn: int = field(default=0, compare=False)
    """Its place among the jobs of its priority, given by the records when it is created, and kept for retries."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job together with its media, as ``get_status`` answers it; ``media`` is there exactly when it is published."""

    job: Job
    media: Media | None = None

    def at(self, now: datetime) -> JobState:
        """Return it without a media whose time is over."""
        return JobState(self.job) if self.media is not None and self.media.expired(now) else self


@dataclass(frozen=True, slots=True)
class MediaPage:
    """A page of media, newest first; ``next_cursor`` asks for the page after it, ``None`` at the end."""

    items: tuple[Media, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first; ``next_cursor`` asks for the page after it, ``None`` at the end."""

    items: tuple[JobState, ...]
    next_cursor: str | None = None


def staging_key(job_id: str) -> str:
    """Return the private quarantine key of a job's upload."""
    return f"staging/{job_id}"


def original_key(source_type: str, source_id: str, media_id: str, extension: str) -> str:
    """Return the public key of the cleaned original."""
    return f"originals/{source_type}/{source_id}/{media_id}/original.{extension}"


def variant_key(source_type: str, source_id: str, media_id: str, variant: str, extension: str) -> str:
    """Return the public key of one variant."""
    return f"media/{source_type}/{source_id}/{media_id}/{variant}.{extension}"


EXTENSIONS: Mapping[str, str] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "gif": "gif",
    "avif": "avif",
    "heic": "heic",
}
"""File extension by image format; the content type of a published file follows from it."""

CONTENT_TYPES: Mapping[str, str] = {
    extension: f"image/{image_format}" for image_format, extension in EXTENSIONS.items()
}
"""Content type by file extension."""
