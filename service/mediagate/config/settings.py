"""Settings of a gate, which are also read from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mediagate.config.origins import checked_base, checked_hosts, checked_origins, listed
from mediagate.config.sources import MIB
from mediagate.errors import ConfigError
from mediagate.values import KeyPrefixes, check_key_prefix

_PREFIX = "MEDIAGATE_"


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]
"""A list of names, separated by commas in the environment."""


def _secrets(value: object) -> object:
    return listed(value.get_secret_value() if isinstance(value, SecretStr) else value)


KeyPrefix = Annotated[str, AfterValidator(check_key_prefix)]
UrlSecrets = Annotated[tuple[Annotated[SecretStr, Field(min_length=32)], ...], Field(min_length=1)]


class Settings(BaseSettings):
    """The settings of a gate, from keyword arguments or environment variables ``MEDIAGATE_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=None, frozen=True, extra="forbid")

    data_dir: Path = Path(".mediagate")
    """Folder of the embedded defaults: the SQLite file, the stored files and the upload spool."""
    database_url: SecretStr | None = None
    """``file:/path/to.db`` or ``postgresql://…``; unset: ``mediagate.db`` in ``data_dir``."""
    database_connections: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Maximum connections of this process to PostgreSQL; unset: 5, or ``connection_limit`` in the URL."""
    database_engine_url: str | None = None
    """URL of a Prisma query engine that the host runs; unset: the gate starts its own."""
    public_base_url: Annotated[str | None, AfterValidator(checked_base)] = None
    """Absolute URL of the gate, for links made outside a request; unset: ``root_path`` is used."""
    public_url: Annotated[str | None, AfterValidator(checked_base)] = None
    """CDN or web server in front of the stored files; unset: the gate serves them."""
    staging_prefix: KeyPrefix = "staging"
    """The first part of the names of quarantined files in the storage; below, of variants, originals and outputs."""
    media_prefix: KeyPrefix = "media"
    originals_prefix: KeyPrefix = "originals"
    outputs_prefix: KeyPrefix = "outputs"
    url_ttl_s: Annotated[int, Field(ge=2, le=7 * 24 * 3600)] = 3600
    """Lifetime of the URLs of private files, in seconds; the URLs in a response have at least half of it left."""
    url_secret: Annotated[UrlSecrets | None, NoDecode, BeforeValidator(_secrets)] = None
    """Secrets of the URLs of private files: the first one signs, all are accepted; unset: one that is generated once
    and stored in ``data_dir``."""
    moderation: Literal["on", "off"] = "on"
    csrf: Literal["auto", "off"] = "auto"
    """Refuse cross-site requests with cookies; ``off`` if the host does so."""
    allowed_origins: Annotated[Names, AfterValidator(checked_origins)] = ()
    """Origins of other sites whose pages may send requests with cookies, such as ``https://app.example.com``."""
    allowed_hosts: Annotated[Names, AfterValidator(checked_hosts)] = ()
    """Additional host names allowed on loopback addresses if hosts are guarded; ``*``: all."""
    strict: bool = False
    """Whether unknown fields and parameters are refused instead of only listed in the response."""
    worker: bool = True
    """Whether this process runs a worker."""
    migrate: bool | None = None
    """Whether to apply migrations when opening; unset: only for the embedded SQLite file."""
    image_processes: Annotated[int, Field(ge=1, le=256)] | None = None
    """Number of image processes; unset: one per core."""
    image_memory_bytes: Annotated[int, Field(ge=64 * MIB)] = 1024 * MIB
    """Limit on the address space that one image adds to its process, in bytes."""
    image_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """Wall-clock limit for one image, in seconds."""
    decode_before_202: bool = False
    """Whether uploads are decoded before acceptance, so that undecodable ones are refused instead of FAILED."""
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    lease_s: Annotated[float, Field(gt=0)] = 30.0
    """How long a claim on a job lasts without a heartbeat, in seconds."""
    retry_backoff_s: Annotated[float, Field(ge=0)] = 2.0
    """Delay before the second attempt, in seconds; doubles with each further one."""
    janitor_interval_s: Annotated[float, Field(gt=0)] = 15.0
    """Interval of the search for lost and stale jobs, in seconds."""
    staging_ttl_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    """Age at which a quarantined file without a live job is removed, in seconds."""
    orphan_grace_s: Annotated[float, Field(ge=0)] | Literal["never"] = 3600.0
    """Age in seconds from which a file without a record is removed; ``"never"``: none is removed. An upload has no
    record while it is stored, so a value shorter than that removes files of uploads in flight."""
    idempotency_ttl_s: Annotated[float, Field(gt=0)] = 24 * 3600.0
    upload_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Maximum pause between two chunks of a request body, in seconds."""
    min_upload_rate: Annotated[int, Field(ge=0)] = 1024
    """Minimum average rate of a request body in bytes per second, after ``upload_grace_s``; 0: no minimum."""
    upload_grace_s: Annotated[float, Field(ge=0)] = 15.0
    """Time allowed for a body in addition to its duration at ``min_upload_rate``, in seconds."""
    direct_upload_ttl_s: Annotated[float, Field(gt=0, le=7 * 24 * 3600)] = 3600.0
    """Lifetime of a direct upload until its completion, in seconds; S3 signs URLs for at most a week."""
    max_queue: Annotated[int, Field(ge=0)] = 10_000
    """Number of live jobs above which uploads are answered 503; 0: no limit."""
    max_uploads: Annotated[int, Field(ge=1)] = 128
    """Maximum concurrent uploads of this process; each takes about 3 MiB of memory and its file's size in the spool."""
    max_downloads: Annotated[int, Field(ge=1)] = 128
    """Maximum concurrent downloads of this process; a stalled reader holds about 70 KiB of memory."""
    download_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """How long a reader may take for 32 KiB of a file before its connection is cut, in seconds."""
    address_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of ``max_uploads`` and of ``max_downloads`` that one client address may hold; unset: a quarter, but all for
    peers on loopback, which are usually proxies."""
    drain_timeout_s: Annotated[float, Field(ge=0)] = 20.0
    """How long closing waits for the running jobs, in seconds."""
    poll_after_ms: Annotated[int, Field(ge=100)] = 1000
    """Minimum of ``pollAfterMs``."""
    status_http: Literal["status", "200"] = "status"
    """Whether ``GET /status`` answers with the HTTP status of the job's status or with 200, unless a request asks."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as exc:
            raise ConfigError(_variable_problems(exc)) from None

    @model_validator(mode="after")
    def _keeps_prefixes_apart(self) -> Self:
        _ = self.key_prefixes
        return self

    @property
    def key_prefixes(self) -> KeyPrefixes:
        """The names of the four kinds of files in the storage."""
        return KeyPrefixes(self.staging_prefix, self.media_prefix, self.originals_prefix, self.outputs_prefix)

    @property
    def records_url(self) -> str:
        """The database URL, with its password: ``database_url``, else the SQLite file in ``data_dir``."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"file:{(self.data_dir / 'mediagate.db').absolute()}"


def native_engine() -> str | None:
    """Return the path of the native Prisma engine from Prisma's own environment variable, ``None`` if unset."""
    return os.environ.get("PRISMA_QUERY_ENGINE_BINARY") or None


def _variable_problems(exc: ValidationError) -> list[str]:
    return [f"{_PREFIX}{str((*e['loc'], '*')[0]).upper()}: {e['msg']}" for e in exc.errors()]
