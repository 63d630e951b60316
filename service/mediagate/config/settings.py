"""What a gate can be told: settings, sources and their variants. It and ``variables`` read the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mediagate.config.origins import checked_base, checked_hosts, checked_origins, listed
from mediagate.errors import ConfigError

MIB = 1024 * 1024

Score = Annotated[float, Field(gt=0, le=1)]
Format = Literal["jpeg", "png", "webp", "gif", "avif", "heic"]
"""A format that can be uploaded, by our name for it."""
Placeholder = Literal["blurhash", "thumbhash"]
Language = Literal["en", "de", "es", "fr", "ja"]
"""A language in which people are told what is wrong."""
Effort = Annotated[int, Field(ge=0, le=6)]
"""How hard an encoder tries, 0 (fast) to 6 (small), as libwebp counts it."""
_PREFIX = "MEDIAGATE_"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]
"""Names in order; in the environment separated by commas."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise ConfigError(_problems(type(self).__name__, exc)) from None


class VariantSpec(_Frozen):
    """How one variant is made; ``width`` and ``height`` in pixels, never enlarged beyond the original.

    ``fit="inside"`` keeps the whole picture within width x height (either may be left out);
    ``fit="cover"`` fills both, cropping around the focal point.
    """

    width: Annotated[int, Field(ge=1, le=16384)] | None = None
    height: Annotated[int, Field(ge=1, le=16384)] | None = None
    fit: Literal["inside", "cover"] = "inside"
    format: Literal["webp", "avif", "jpeg", "png"] = "webp"
    quality: Annotated[int, Field(ge=1, le=100)] = 80
    effort: Effort | None = None
    """Encoder effort; unset: the one of the source."""

    @model_validator(mode="after")
    def _has_size(self) -> Self:
        if self.width is None and self.height is None:
            raise ValueError("give a width, a height or both")
        if self.fit == "cover" and (self.width is None or self.height is None):
            raise ValueError('fit="cover" needs both width and height')
        return self


DEFAULT_VARIANTS: Mapping[str, VariantSpec] = {
    "xs": VariantSpec(width=64),
    "sm": VariantSpec(width=256),
    "md": VariantSpec(width=640),
    "lg": VariantSpec(width=1280),
    "xl": VariantSpec(width=1920),
}
"""Five widths, WebP quality 80."""


class Source(_Frozen):
    """The policy of one source type: limits, variants and moderation thresholds."""

    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = get_args(Format)
    """Formats that are accepted, as the bytes say."""
    variants: Mapping[str, VariantSpec] = DEFAULT_VARIANTS
    reject: Mapping[str, Score] = {}
    """Label or label group → score (0-1) from which an image is rejected."""
    review: Mapping[str, Score] = {}
    """Label or label group → score (0-1) from which a person must look; without a reviewer that is a rejection."""
    visibility: Literal["public", "private"] = "public"
    """Whether the files' URLs work for everybody and for ever, or are signed and expire."""
    priority: Literal["high", "normal", "low"] = "normal"
    """Jobs of a high one are all begun before those of a normal one, and these before those of a low one."""
    scrutiny: Literal["standard", "thorough"] = "standard"
    """In how many parts a moderator is shown a picture, and so how small a forbidden part of it may be."""
    original: Literal["keep", "delete"] = "keep"
    """Whether the cleaned original is published beside the variants."""
    placeholders: tuple[Placeholder, ...] = ("blurhash",)
    """What stands in for a picture until it is loaded; every media has a BlurHash."""
    ttl: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=36_500))] | None = None
    """How long a result is kept, from its completion on; unset: until it is deleted."""
    colour: Literal["srgb", "wide"] = "srgb"
    """Whether the original of a picture with more colours than sRGB stays Display P3; everything else is sRGB."""
    effort: Effort = 4
    """Encoder effort of the variants that name none; 2 makes 1.5 times as many pictures as 4 for a tenth more bytes."""
    messages: Mapping[str, str | Mapping[Language, str]] = {}
    """Error code → what people are told in place of our own words, also by language; ``{limit}`` is the most bytes."""
    animation: Literal["first_frame", "keep", "reject"] = "first_frame"
    max_bytes: Annotated[int, Field(ge=1)] = 20 * MIB
    max_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    """Pixels of one frame (width x height)."""
    damaged: Literal["refuse", "accept"] = "refuse"
    """Whether a picture of which pixels are missing is refused, or published as browsers show it."""
    max_frames: Annotated[int, Field(ge=1)] = 1000
    """Frames that are decoded at most when an animation is kept; more is refused."""
    max_animation_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Pixels of all frames together when an animation is kept."""

    @property
    def rank(self) -> int:
        """The priority as a number: what is lower is begun first."""
        return {"high": -1, "normal": 0, "low": 1}[self.priority]

    def effort_of(self, spec: VariantSpec) -> int:
        """Return the effort that a variant is encoded with."""
        return self.effort if spec.effort is None else spec.effort

    @field_validator("placeholders")
    @classmethod
    def _has_blurhash(cls, placeholders: tuple[Placeholder, ...]) -> tuple[Placeholder, ...]:
        if "blurhash" not in placeholders:
            raise ValueError('every media has a BlurHash: use ("blurhash",) or ("blurhash", "thumbhash")')
        return placeholders

    @field_validator("variants")
    @classmethod
    def _names(cls, variants: Mapping[str, VariantSpec]) -> Mapping[str, VariantSpec]:
        if not variants:
            raise ValueError("a source needs at least one variant")
        for name in variants:
            _check_name("variant", name)
        return variants


class Settings(BaseSettings):
    """How the gate runs, from keyword arguments or environment variables ``MEDIAGATE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=None, frozen=True, extra="forbid")

    data_dir: Path = Path(".mediagate")
    """Where the embedded defaults keep the SQLite file, the stored files and the upload spool."""
    database_url: SecretStr | None = None
    """``file:/path/to.db`` or ``postgresql://…``; unset: ``mediagate.db`` in ``data_dir``."""
    database_connections: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Connections to PostgreSQL that this process opens at most; unset: 5, or ``connection_limit`` in the URL."""
    database_engine_url: str | None = None
    """URL of a Prisma query engine that the host runs itself; unset: the gate starts its own."""
    public_base_url: Annotated[str | None, AfterValidator(checked_base)] = None
    """Absolute URL under which the gate is reached, for links made outside a request; unset: ``root_path`` is used."""
    public_url: Annotated[str | None, AfterValidator(checked_base)] = None
    """CDN or web server in front of the stored files; unset: the gate serves them."""
    url_ttl_s: Annotated[int, Field(ge=2, le=7 * 24 * 3600)] = 3600
    """How long a private file's URL works; an answer's URLs have at least half of it left."""
    url_secret: Annotated[SecretStr, Field(min_length=32)] | None = None
    """What the gate signs URLs of private files with; unset: made once and kept in ``data_dir``."""
    moderation: Literal["on", "off"] = "on"
    csrf: Literal["auto", "off"] = "auto"
    """Refuse requests with cookies that pages of other sites send; ``off`` where the host does so."""
    allowed_origins: Annotated[Names, AfterValidator(checked_origins)] = ()
    """Origins of other sites whose pages may send requests with cookies, such as ``https://app.example.com``."""
    allowed_hosts: Annotated[Names, AfterValidator(checked_hosts)] = ()
    """Host names allowed on loopback addresses, besides those of this machine, where hosts are guarded; ``*``: all."""
    strict: bool = False
    """Whether a field or parameter that nobody reads is refused, and not only named in the answer."""
    worker: bool = True
    """Whether this process works on jobs besides answering HTTP."""
    migrate: bool | None = None
    """Apply migrations when opening; unset: only for the embedded SQLite file."""
    image_processes: Annotated[int, Field(ge=1, le=256)] | None = None
    """Image processes; unset: one per core."""
    image_memory_bytes: Annotated[int, Field(ge=64 * MIB)] = 1024 * MIB
    """Address space that one image may add to its process."""
    image_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """Wall-clock limit for one image."""
    decode_before_202: bool = False
    """Whether an upload is decoded before it is accepted, so that what cannot be decoded is refused, not FAILED."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    lease_s: Annotated[float, Field(gt=0)] = 30.0
    """How long a claimed job stays claimed without a heartbeat."""
    retry_backoff_s: Annotated[float, Field(ge=0)] = 2.0
    """Pause before the second attempt; doubles with each one."""
    janitor_interval_s: Annotated[float, Field(gt=0)] = 15.0
    """How often lost and stale jobs are looked for."""
    staging_ttl_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    """Age at which a quarantined file without a live job is removed."""
    orphan_grace_s: Annotated[float, Field(ge=0)] | Literal["never"] = 3600.0
    """Age below which a file without a record is left alone; ``"never"``: none is removed, however old."""
    idempotency_ttl_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    upload_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest pause between two parts of a request body."""
    min_upload_rate: Annotated[int, Field(ge=0)] = 1024
    """Slowest average rate of a request body in bytes per second, besides ``upload_grace_s``; 0: none."""
    upload_grace_s: Annotated[float, Field(ge=0)] = 15.0
    """How long a body may be waited for beyond the time that it takes at ``min_upload_rate``."""
    direct_upload_ttl_s: Annotated[float, Field(gt=0, le=7 * 24 * 3600)] = 3600.0
    """How long a direct upload may take until it is completed; S3 signs URLs for at most a week."""
    max_queue: Annotated[int, Field(ge=0)] = 10_000
    """Live jobs beyond which uploads are answered 503; 0: no limit."""
    max_uploads: Annotated[int, Field(ge=1)] = 128
    """Uploads that this process receives at once: each takes about 3 MiB of memory and its file's room in the spool."""
    max_downloads: Annotated[int, Field(ge=1)] = 128
    """Files that this process sends at once: a reader that takes nothing keeps about 70 KiB of memory."""
    download_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """How long a reader may take for 32 KiB of a file before its connection is cut."""
    address_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Part of ``max_uploads``, and of ``max_downloads``, that one client address may hold; unset: a quarter, and all
    for peers on loopback, which are proxies as a rule."""
    drain_timeout_s: Annotated[float, Field(ge=0)] = 20.0
    """How long closing waits for the jobs in flight."""
    poll_after_ms: Annotated[int, Field(ge=100)] = 1000
    """What ``pollAfterMs`` tells clients at least."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise ConfigError(_variable_problems(exc)) from None

    @property
    def records_url(self) -> str:
        """The database URL, with its password: ``database_url``, else the SQLite file in ``data_dir``."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"file:{(self.data_dir / 'mediagate.db').absolute()}"


def private_sources(sources: Mapping[str, Source]) -> frozenset[str]:
    """Return the source types whose files are private."""
    return frozenset(name for name, source in sources.items() if source.visibility == "private")


def native_engine() -> str | None:
    """Return the path of the native Prisma engine that the user names, in Prisma's own variable."""
    return os.environ.get("PRISMA_QUERY_ENGINE_BINARY") or None


def check_sources(sources: Mapping[str, Source]) -> None:
    """Raise ``ConfigError`` unless there is at least one source and every name can stand in a storage key."""
    if not sources:
        raise ConfigError('sources: give at least one, such as sources={"avatar": Source()}')
    problems = []
    for name in sources:
        try:
            _check_name("source", name)
        except ValueError as exc:
            problems.append(str(exc))
    if problems:
        raise ConfigError(problems)


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{kind} {name!r}: use lower-case letters, digits, - and _, at most 64, not starting with - or _"
        )


def _variable_problems(exc: ValidationError) -> list[str]:
    return [f"{_PREFIX}{str((*e['loc'], '*')[0]).upper()}: {e['msg']}" for e in exc.errors()]


def _problems(owner: str, exc: ValidationError) -> list[str]:
    return [f"{owner}.{'.'.join(str(p) for p in e['loc']) or '(all)'}: {e['msg']}" for e in exc.errors()]
