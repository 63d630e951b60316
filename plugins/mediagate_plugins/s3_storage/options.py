"""The host's description of its bucket."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from mediagate import Source
from mediagate.errors import ConfigError
from mediagate.storage import KeyPrefixes, PrivateSources, is_key

Addressing = Literal["auto", "path", "virtual"]
RetryMode = Literal["standard", "adaptive"]

MAX_PREFIX = 256
"""The longest prefix. S3 allows 1,024 characters for a key; mediagate's keys fit into the rest."""
BACKOFF_S = 20.0
"""The longest pause of boto3 before another attempt."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
"""Wider than AWS's rule (3-63 of a-z 0-9 . -), for older servers."""
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of ``s3_storage``; raises ``ConfigError`` that names every invalid one."""

    bucket: str
    prefix: str = ""
    staging_bucket: str | None = None
    staging_prefix: str | None = None
    public_url: str | None = None
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    region: str | None = None
    addressing: Addressing = "auto"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0
    attempts: int = 3
    retry_mode: RetryMode = "standard"
    threads: int = 16
    upload_origins: tuple[str, ...] = ()
    key_prefixes: KeyPrefixes = field(default_factory=KeyPrefixes)
    sources: frozenset[str] = frozenset()
    """The gate's source types; below, the types with private files and those with a ``ttl``."""
    private_sources: Container[str] = frozenset()
    expiring_sources: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if problems := [*self._names(), *self._urls(), *self._credentials(), *self._numbers()]:
            raise ConfigError([f"s3_storage.{problem}" for problem in problems])

    @property
    def deadline_s(self) -> float:
        """The longest duration of one request, including its attempts and the pauses between them."""
        pauses = sum(min(BACKOFF_S, 2.0**n) for n in range(self.attempts - 1))
        return self.attempts * (self.connect_timeout_s + self.read_timeout_s) + pauses

    def place(self, key: str) -> tuple[str, str]:
        """Return the bucket and the name of a key's object, or of a prefix of keys."""
        prefix, bucket = self.prefix, self.bucket
        if key.startswith("staging/"):
            bucket = self.staging_bucket or bucket
            prefix = prefix if self.staging_prefix is None else self.staging_prefix
        before = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        return bucket, before + self.key_prefixes.name_of(key)

    def _names(self) -> Iterator[str]:
        for name in ("bucket", "staging_bucket"):
            value = getattr(self, name)
            if value is not None and not _BUCKET.fullmatch(value):
                yield f"{name}: give the name of a bucket, such as my-media, not {value!r}"
        for name in ("prefix", "staging_prefix"):
            value = (getattr(self, name) or "").strip("/")
            if value and (len(value) > MAX_PREFIX or not is_key(value)):
                yield f"{name}: use segments of A-Z a-z 0-9 . _ - joined by /, at most {MAX_PREFIX} characters"
        for name, among in (("addressing", Addressing), ("retry_mode", RetryMode)):
            if getattr(self, name) not in get_args(among):
                yield f"{name}: give one of {', '.join(get_args(among))}, not {getattr(self, name)!r}"

    def _urls(self) -> Iterator[str]:
        for name in ("public_url", "endpoint_url", "public_endpoint_url"):
            value = getattr(self, name)
            if value is not None and not _is_plain(value):
                # The message does not quote the URL, since it may contain a password.
                yield f"{name}: give an http or https URL with nothing but host, port and path"
        for origin in self.upload_origins:
            if not _ORIGIN.fullmatch(origin):
                yield f"upload_origins: give scheme and host, such as https://app.example.com, not {origin!r}"

    def _credentials(self) -> Iterator[str]:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            yield "access_key_id and secret_access_key: give both, or neither to have boto3 look for them"
        if self.session_token is not None and self.secret_access_key is None:
            yield "session_token: give it together with access_key_id and secret_access_key"

    def _numbers(self) -> Iterator[str]:
        for name in ("connect_timeout_s", "read_timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value <= 600):
                yield f"{name}: give seconds above 0, at most 600, not {value}"
        if not 1 <= self.attempts <= 10:
            yield f"attempts: give 1-10, not {self.attempts}"
        if not 1 <= self.threads <= 256:
            yield f"threads: give 1-256, not {self.threads}"


def policy_of(sources: Mapping[str, Source]) -> dict[str, Any]:
    """Return the options that follow from a gate's sources."""
    return {
        "sources": frozenset(sources),
        "private_sources": PrivateSources(sources),
        "expiring_sources": frozenset(name for name, source in sources.items() if source.ttl),
    }


def without_boto3(exc: ImportError) -> ConfigError:
    """Return the error for a missing extra."""
    return ConfigError(f's3_storage needs boto3: pip install "mediagate[s3]" ({exc})')


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.username or parts.password or parts.query or parts.fragment)
        )
    except ValueError:
        return False
