"""The declaration of a direct upload: the description of a file to send, and the URL to send it to."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mediagate.config import Source
from mediagate.errors import (
    BadUpload,
    InvalidParameter,
    UnknownSource,
    UnsupportedType,
    UploadExpired,
    UploadNotFound,
)
from mediagate.intake.size_limit import check_size
from mediagate.intake.unknown_names import find_unknown
from mediagate.parts import Parts
from mediagate.values import (
    ANY_TYPE,
    DECLARABLE,
    EXTENSIONS,
    DirectUpload,
    UploadFields,
    UploadTarget,
    display_name,
    new_id,
    read_fields,
)

REQUIRED = ("sourceType", "sourceId", "size")
TEXTS = ("sourceType", "sourceId", "contentType", "filename", "clientReferenceId", "callbackUrl", "crop")
NUMBERS = ("focalX", "focalY")

_ID = re.compile(r"upl_[a-z2-7]{26}")


@dataclass(frozen=True, slots=True)
class Declaration:
    """A client's description of a file to send; ``size`` in bytes, ``content_type`` in lower case."""

    fields: UploadFields
    content_type: str
    size: int
    ignored: tuple[str, ...] = ()
    """Unknown names."""

    def check(self, sources: Mapping[str, Source]) -> None:
        """Raise an error for the first invalid field.

        That is an error of ``UploadFields.check``, ``UnsupportedType`` for a type that the source does not accept,
        ``InvalidParameter`` for a malformed size, or ``UploadTooLarge``.
        """
        self.fields.check(sources)
        source_type = self.fields.source_type
        formats, limit = sources[source_type].formats, sources[source_type].max_bytes
        if self.content_type != ANY_TYPE and DECLARABLE.get(self.content_type) not in formats:
            usual = ", ".join(f"image/{name}" for name in EXTENSIONS if name in formats)
            usual += ", application/pdf" if "pdf" in formats else ""
            raise UnsupportedType(
                f"contentType {self.content_type!r:.80} is not accepted; use one of {usual}, or leave it out"
            )
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise InvalidParameter("size: use the size of the file in bytes, an integer of at least 1")
        check_size(self.size, limit, f"the limit of {source_type}")


def read_declaration(body: Mapping[str, Any], *, strict: bool) -> Declaration:
    """Return the declaration in the JSON of ``POST /uploads``.

    Raises ``BadUpload`` with the missing fields, ``InvalidParameter`` for a value of the wrong type, for a name that
    resembles a known one, and, if ``strict``, for any unknown name.
    """
    ignored = find_unknown(body, {*TEXTS, *NUMBERS, "size"}, strict=strict)
    missing = [name for name in REQUIRED if body.get(name) is None]
    if missing:
        raise BadUpload(f"missing from the JSON object: {', '.join(missing)}")
    values = {name: body[name] for name in (*TEXTS, *NUMBERS) if body.get(name) is not None}
    for name, value in values.items():
        _check_type(name, value)
    fields = read_fields(values, display_name(values.get("filename", "")))
    return Declaration(fields, values.get("contentType", "").lower() or ANY_TYPE, body["size"], tuple(ignored))


async def declare(
    declaration: Declaration, parts: Parts, *, owner: str | None, key_id: str | None = None, base_url: str
) -> UploadTarget:
    """Record a declaration and return the target of the bytes: a URL signed by the storage, else one of the gate.

    ``pre_declare`` hooks may refuse the declaration by raising.
    """
    ttl_s = parts.settings.direct_upload_ttl_s
    now = await parts.records.now()
    upload = DirectUpload(
        id=new_id("upl"),
        ticket=declaration.fields,
        content_type=declaration.content_type,
        bytes=declaration.size,
        created_at=now,
        expires_at=now + timedelta(seconds=ttl_s),
        owner_id=owner,
        key_id=key_id,
    )
    await parts.hooks.run("pre_declare", upload)
    signed = await parts.storage.presign_put(
        upload.staging_key, content_type=upload.content_type, size=upload.bytes, expires_s=ttl_s
    )
    place = f"{base_url}/uploads/{upload.id}"
    if signed is not None:
        await parts.records.create_upload(upload)
        until = min(signed.expires_at, upload.expires_at)
        return UploadTarget(upload.id, signed.url, signed.headers, until, f"{place}/complete")
    token = secrets.token_urlsafe(32)
    await parts.records.create_upload(replace(upload, token_hash=hash_token(token)))
    headers = {"Content-Type": upload.content_type}
    return UploadTarget(upload.id, f"{place}/content?token={token}", headers, upload.expires_at, f"{place}/complete")


async def find_upload(upload_id: str, parts: Parts) -> DirectUpload:
    """Return an upload; raises ``UploadNotFound``."""
    found = await parts.records.get_uploads([upload_id]) if _ID.fullmatch(upload_id) else {}
    if upload_id not in found:
        raise unknown_upload(upload_id)
    return found[upload_id]


def unknown_upload(upload_id: str) -> UploadNotFound:
    """Return the error for an upload that does not exist or has another owner: the same text for both."""
    return UploadNotFound(f"upload {upload_id!r:.80} not found")


async def check_current(upload: DirectUpload, parts: Parts) -> None:
    """Raise ``UploadExpired`` for an expired upload, ``UnknownSource`` if its source is no longer configured."""
    if upload.expires_at <= await parts.records.now():
        raise UploadExpired("the upload was not completed in time; declare it again")
    source_type = upload.ticket.source_type
    if source_type not in parts.sources:
        raise UnknownSource(f"sourceType {source_type!r} is no longer configured; declare the upload with another one")


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token in hex, the form in which it is recorded."""
    return hashlib.sha256(token.encode()).hexdigest()


def _check_type(name: str, value: object) -> None:
    if name in TEXTS and not (isinstance(value, str) and _is_unicode(value)):
        raise InvalidParameter(f"{name}: use a string of Unicode characters")
    if name in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float | str)):
        raise InvalidParameter(f"{name}: use a number from 0 to 1")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
