"""A received file, as ``pre_upload`` is shown it."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.values.image import ImageInfo


@dataclass(frozen=True, slots=True)
class IncomingUpload:
    """What ``pre_upload`` is shown: a received file of ``bytes`` bytes, of which only the header was decoded."""

    source_type: str
    source_id: str
    filename: str
    bytes: int
    sha256: str
    info: ImageInfo
    client_reference_id: str | None = None
    owner_id: str | None = None
    callback_url: str | None = None
