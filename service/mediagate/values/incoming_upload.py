"""A received file, as passed to ``pre_upload``."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.values.crop_box import CropBox
from mediagate.values.image import ImageInfo


@dataclass(frozen=True, slots=True)
class IncomingUpload:
    """A received file, of which the header alone has been decoded; ``bytes`` is its size."""

    source_type: str
    source_id: str
    filename: str
    bytes: int
    sha256: str
    info: ImageInfo
    client_reference_id: str | None = None
    owner_id: str | None = None
    callback_url: str | None = None
    crop: CropBox | None = None
    """The part of the picture that will be published; ``None``: all of it."""
