"""What an uploader says of a file besides its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mediagate.config import SOURCE_ID, Source
from mediagate.errors import InvalidParameter, InvalidSourceId, UnknownSource

MAX_URL = 2048
_READABLE = re.compile(r"[!#-;=?-\[\]^-~]+")
"""About blanks, control characters and backslashes URL parsers disagree: some drop them, some go another way."""


@dataclass(frozen=True, slots=True)
class UploadFields:
    """What an uploader says of the file besides its bytes; checked by ``read_fields``."""

    source_type: str
    source_id: str
    filename: str = ""
    client_reference_id: str | None = None
    callback_url: str | None = None
    focal_x: float = 0.5
    focal_y: float = 0.5


def read_fields(fields: Mapping[str, str], filename: str, sources: Mapping[str, Source]) -> UploadFields:
    """Check the form fields of an upload; raises ``UnknownSource``, ``InvalidSourceId`` or ``InvalidParameter``."""
    source_type, source_id = fields["sourceType"], fields["sourceId"]
    if source_type not in sources:
        raise UnknownSource(f"sourceType {source_type!r} is not configured; use one of: {', '.join(sources)}")
    if not SOURCE_ID.fullmatch(source_id):
        raise InvalidSourceId("sourceId: use 1 to 128 letters, digits, - and _, starting with a letter or digit")
    reference = fields.get("clientReferenceId") or None
    if reference is not None and not (len(reference) <= 255 and reference.isprintable()):
        raise InvalidParameter("clientReferenceId: use 1 to 255 printable characters")
    return UploadFields(
        source_type,
        source_id,
        filename,
        reference,
        _callback(fields.get("callbackUrl")),
        _focal("focalX", fields.get("focalX")),
        _focal("focalY", fields.get("focalY")),
    )


def source_id_text(source_id: object) -> str:
    """Return a source id given from Python, where the id of a row may be a number; raises ``InvalidSourceId``."""
    if isinstance(source_id, bool) or not isinstance(source_id, str | int):
        raise InvalidSourceId(f"source_id: use a string or an int, not {type(source_id).__name__}")
    return str(source_id)


def _focal(name: str, text: str | None) -> float:
    if text is None or text == "":
        return 0.5
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidParameter(f"{name}: use a number from 0 (left or top) to 1")
    return value


def _callback(url: str | None) -> str | None:
    if url is None or url == "":
        return None
    parts = _split(url)
    if len(url) > MAX_URL or parts is None or parts.scheme != "https" or not parts.hostname:
        raise InvalidParameter(f"callbackUrl: use an absolute https URL of at most {MAX_URL:,} characters")
    if not _READABLE.fullmatch(url):
        raise InvalidParameter(
            "callbackUrl: use printable ASCII without spaces, quotes and backslashes; write other hosts in punycode"
        )
    if "@" in parts.netloc:
        raise InvalidParameter("callbackUrl: there may be no user name and no password; leave user and password out")
    return url


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:  # brackets around no address, or a port that is none
        return None
