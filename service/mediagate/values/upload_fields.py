"""The fields that accompany an uploaded file."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mediagate.errors import InvalidParameter, InvalidSourceId, UnknownSource
from mediagate.values.crop_box import CropBox, read_crop
from mediagate.values.source_id import source_id_problem

MAX_URL = 2048
MAX_REFERENCE = 255
MAX_FILENAME = 255
_READABLE = re.compile(r"[!#-;=?-\[\]^-~]+")
"""URL parsers disagree about blanks, control characters and backslashes: some drop them, some reach another host."""


@dataclass(frozen=True, slots=True)
class UploadFields:
    """The fields that accompany an uploaded file; ``check`` validates them."""

    source_type: str
    source_id: str
    filename: str = ""
    client_reference_id: str | None = None
    callback_url: str | None = None
    focal_x: float = 0.5
    focal_y: float = 0.5
    """The focal point, of the part that ``crop`` leaves."""
    crop: CropBox | None = None
    """The part of the picture that is published; ``None``: all of it."""

    def check(self, sources: Collection[str]) -> None:
        """Raise ``UnknownSource``, ``InvalidSourceId``, ``InvalidParameter`` or ``InvalidCrop`` for the first fault."""
        if self.source_type not in sources:
            raise UnknownSource(f"sourceType {self.source_type!r} is not configured; use one of: {', '.join(sources)}")
        if (fault := source_id_problem(self.source_id)) is not None:
            raise InvalidSourceId(f"sourceId: {fault}")
        for name, problem in (
            ("clientReferenceId", reference_problem(self.client_reference_id)),
            ("callbackUrl", callback_problem(self.callback_url)),
        ):
            if problem is not None:
                raise InvalidParameter(f"{name}: {problem}")
        for name, value in (("focalX", self.focal_x), ("focalY", self.focal_y)):
            if not 0 <= value <= 1:
                raise InvalidParameter(f"{name}: use a number from 0 (left or top) to 1")
        if self.crop is not None:
            self.crop.check()


def read_fields(values: Mapping[str, Any], filename: str) -> UploadFields:
    """Return the fields of a form or a JSON object; an empty optional text counts as missing."""
    return UploadFields(
        values["sourceType"],
        values["sourceId"],
        filename,
        values.get("clientReferenceId") or None,
        values.get("callbackUrl") or None,
        read_focal(values.get("focalX")),
        read_focal(values.get("focalY")),
        read_crop(values.get("crop")),
    )


def read_focal(value: str | float | None) -> float:
    """Return a coordinate of the focal point: the middle by default, NaN if the value is not a number."""
    if value is None or value == "":
        return 0.5
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def display_name(name: str) -> str:
    """Return a client's file name for display, without folders and control characters, cut to ``MAX_FILENAME``."""
    name = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in name if c.isprintable()).strip()[:MAX_FILENAME]


def source_id_text(source_id: object) -> str:
    """Return a source id passed from Python, where it may be a number, as text; raises ``InvalidSourceId``."""
    if isinstance(source_id, bool) or not isinstance(source_id, str | int):
        raise InvalidSourceId(f"source_id: use a string or an int, not {type(source_id).__name__}")
    return str(source_id)


def reference_problem(text: str | None) -> str | None:
    """Return what is wrong with a client's own id of its upload."""
    fits = text is None or (isinstance(text, str) and 0 < len(text) <= MAX_REFERENCE and text.isprintable())
    return None if fits else f"use 1 to {MAX_REFERENCE} printable characters"


def callback_problem(url: str | None) -> str | None:
    """Return what is wrong with the URL that is called when a job ends."""
    if url is None:
        return None
    parts = _split(url) if isinstance(url, str) and len(url) <= MAX_URL else None
    if parts is None or parts.scheme != "https" or not parts.hostname:
        return f"use an absolute https URL of at most {MAX_URL:,} characters"
    if not _READABLE.fullmatch(url):
        return "use printable ASCII without spaces, quotes and backslashes; write other hosts in punycode"
    return "user name and password are not allowed; leave them out" if "@" in parts.netloc else None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:  # brackets around an invalid address, or an invalid port
        return None
