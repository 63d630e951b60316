"""The arguments of uploads from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mediagate.intake import Readable
from mediagate.values import UploadFields, display_name, read_crop, read_focal, source_id_text


def fields_of(
    source_type: str,
    source_id: str | int,
    filename: str,
    client_reference_id: str | None,
    callback_url: str | None,
    focal: tuple[float, float],
    crop: Sequence[float] | None,
) -> UploadFields:
    """Return the fields of an upload, normalized as those of a form; raises ``InvalidSourceId``."""
    x, y = map(read_focal, focal)
    reference, callback = client_reference_id or None, callback_url or None
    name = display_name(filename)
    return UploadFields(source_type, source_id_text(source_id), name, reference, callback, x, y, read_crop(crop))


def name_of(source: Readable) -> str:
    """Return the file name of a path or an ``UploadFile``, else an empty string."""
    return source.name if isinstance(source, Path) else getattr(source, "filename", None) or ""
