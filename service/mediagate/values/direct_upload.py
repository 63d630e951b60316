"""A direct upload: the client declares a file, then puts its bytes into the storage by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from mediagate.values.layout import EXTENSIONS, staging_key
from mediagate.values.times import iso
from mediagate.values.upload_fields import UploadFields

ANY_TYPE = "application/octet-stream"
"""Declares an unknown type, also the default: the bytes decide."""
DECLARABLE: Mapping[str, str] = {f"image/{name}": name for name in EXTENSIONS} | {
    "image/heif": "heic",
    "image/jpg": "jpeg",
    "image/pjpeg": "jpeg",
    "image/x-png": "png",
    "image/apng": "png",
    "application/pdf": "pdf",
}
"""Format by content type that may be declared for it; ``image/jpg`` to ``image/apng`` are unregistered but in use."""


@dataclass(frozen=True, slots=True)
class DirectUpload:
    """A declared file and, once completed, its job."""

    id: str
    ticket: UploadFields
    content_type: str
    bytes: int
    created_at: datetime
    expires_at: datetime
    """Until then it can be completed; a completed upload is remembered until then."""
    token_hash: str | None = None
    """SHA-256 (hex) of the token in the gate's own URL; ``None`` when the storage signed one."""
    job_id: str | None = None
    owner_id: str | None = None
    """The owner of the upload and of its job and media; ``None`` without access control."""
    key_id: str | None = None
    """The credential that declared the upload; its usage counts for this key."""

    @property
    def declared_type(self) -> str | None:
        """The type that the bytes must have; ``None``: any."""
        return None if self.content_type == ANY_TYPE else self.content_type

    @property
    def staging_key(self) -> str:
        """The private key under which the bytes arrive."""
        return staging_key(self.id)


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """Where the bytes of a direct upload go: ``method`` to ``url`` with exactly ``headers``, then complete it."""

    upload_id: str
    url: str
    headers: Mapping[str, str]
    expires_at: datetime
    complete_url: str
    method: Literal["PUT"] = "PUT"

    def __repr__(self) -> str:
        # Without the URL: it grants the right to upload.
        return f"UploadTarget({self.upload_id!r}, expires_at={iso(self.expires_at)})"

    def to_json(self) -> dict[str, Any]:
        """Return the body of ``POST /uploads``."""
        return {
            "uploadId": self.upload_id,
            "method": self.method,
            "url": self.url,
            "headers": dict(self.headers),
            "expiresAt": iso(self.expires_at),
            "completeUrl": self.complete_url,
        }
