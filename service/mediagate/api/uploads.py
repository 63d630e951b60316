"""The arguments of uploads from Python."""

from __future__ import annotations

from pathlib import Path

from mediagate.intake import Readable
from mediagate.values import UploadFields, display_name, read_focal, source_id_text


def fields_of(
    source_type: str,
    source_id: str | int,
    filename: str,
    client_reference_id: str | None,
    callback_url: str | None,
    focal: tuple[float, float],
) -> UploadFields:
    """Return the fields of an upload, normalized as those of a form; raises ``InvalidSourceId``."""
    x, y = map(read_focal, focal)
    reference, callback = client_reference_id or None, callback_url or None
    return UploadFields(source_type, source_id_text(source_id), display_name(filename), reference, callback, x, y)


def name_of(source: Readable) -> str:
    """Return the file name of a path or an ``UploadFile``, else an empty string."""
    return source.name if isinstance(source, Path) else getattr(source, "filename", None) or ""
