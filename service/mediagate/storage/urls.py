"""URLs of published files: public ones, and for private sources signed ones that expire.

Signing times are rounded down to half of the lifetime. All processes therefore give the same answer about a media for
that long: an ``ETag`` holds, a browser's cached picture stays valid, and each URL has at least half of its life left.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from mediagate.config import Settings, Source
from mediagate.errors import ConfigError, FileNotServed, UrlExpired
from mediagate.storage.private_sources import PrivateSources
from mediagate.storage.protocol import Storage
from mediagate.values import OUTPUTS, FileUrl, source_type_of

FOR_EVER_S = 31_536_000
FOR_EVER = f"public, max-age={FOR_EVER_S}, immutable"
"""``Cache-Control`` of a published file: the bytes of a key never change, so caches may store it for a year."""
SECRET_FILE = "url_secret"
"""In ``data_dir``, when no ``url_secret`` is set."""
_SECRET = re.compile(rb"[0-9a-f]{64}")
_EXPIRES = re.compile(r"[0-9]{1,12}")


class FileUrls:
    """The URLs of one gate's files.

    The first of the ``secrets`` signs those of private files that the gate serves itself; all of them are accepted.
    """

    def __init__(
        self, sources: Mapping[str, Source], storage: Storage, *, secrets: Sequence[bytes], ttl_s: int
    ) -> None:
        self._private_sources = PrivateSources(sources)
        self._storage = storage
        self._secrets = secrets
        self._ttl_s = ttl_s

    def of(self, key: str, *, base_url: str, now: datetime) -> FileUrl:
        """Return a published file's URL: on the storage if it has one, else on the gate at ``base_url``."""
        if not self.private(key):
            return FileUrl(self._storage.url(key) or f"{base_url}/{quote(key)}")
        step = self._ttl_s // 2
        signed_at = datetime.fromtimestamp(int(now.timestamp()) // step * step, UTC)
        if signed := self._storage.presign_get(key, signed_at=signed_at, expires_s=self._ttl_s):
            return FileUrl(signed.url, signed.expires_at)
        expires_at = signed_at + timedelta(seconds=self._ttl_s)
        expires = str(int(expires_at.timestamp()))
        signature = _signature(self._secrets[0], key, expires)
        return FileUrl(f"{base_url}/{quote(key)}?expires={expires}&signature={signature}", expires_at)

    def private(self, key: str) -> bool:
        """Return whether a file needs a signed URL.

        Outputs of pipelines and files of sources that are no longer configured do as well.
        """
        return key.startswith(OUTPUTS) or source_type_of(key) in self._private_sources

    def admit(self, key: str, query: Mapping[str, str], *, now: datetime) -> int | None:
        """Return for how many more seconds a request for a private file is valid, ``None`` for a public file.

        Raises ``FileNotServed`` without a valid signature, as for a missing file, and ``UrlExpired``.
        """
        if not self.private(key):
            return None
        expires, signature = query.get("expires", ""), query.get("signature", "").encode()
        valid = [hmac.compare_digest(_signature(s, key, expires).encode(), signature) for s in self._secrets]
        if not _EXPIRES.fullmatch(expires) or not any(valid):
            raise FileNotServed("file not found")
        left_s = int(expires) - int(now.timestamp())
        if left_s <= 0:
            raise UrlExpired("this URL has expired; read the media or the job again, and use the URL in the answer")
        return left_s


def _signature(secret: bytes, key: str, expires: str) -> str:
    digest = hmac.digest(secret, f"{key}\n{expires}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def url_secrets(settings: Settings) -> tuple[bytes, ...]:
    """Return the secrets of URLs: the configured ones, else the one in ``data_dir``, created if missing.

    Blocks. Raises ``ConfigError`` when the file cannot be used.
    """
    if settings.url_secret is not None:
        return tuple(secret.get_secret_value().encode() for secret in settings.url_secret)
    path = settings.data_dir / SECRET_FILE
    try:
        if not path.exists():
            _make(path)
        secret = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; make it readable, or set url_secret") from None
    if not _SECRET.fullmatch(secret):
        raise ConfigError(f"{path}: the secret in this file is damaged; remove the file, or set url_secret")
    return (secret,)


def _make(path: Path) -> None:
    """Write a new secret; if several processes do so concurrently, the first one wins."""
    draft = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
