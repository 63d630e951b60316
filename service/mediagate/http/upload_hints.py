"""The limits of a source for an upload form, worded as in the gate's own responses."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.config import Language, Source
from mediagate.errors import UploadTooLarge
from mediagate.http.messages import message_of_error, size_text
from mediagate.values import DECLARABLE


@dataclass(frozen=True, slots=True)
class FormHints:
    """Limits and formats of a source, for a page with an upload form."""

    max_bytes: int
    limit: str
    """``max_bytes`` as text, such as ``20 MB``."""
    too_large: str
    """The message for a larger file."""
    formats: tuple[str, ...]
    """Names of the formats that are accepted and can be decoded on this machine, such as ``JPEG``."""
    accept: str
    """The ``accept`` attribute of a file input: content types and file extensions."""


def form_hints(source: Source, language: Language = "en") -> FormHints:
    """Return the limits and formats of a source, to show in an upload form."""
    from mediagate.images import accepted  # lazily: it imports Pillow, which the host does not need at start

    labels = accepted([name for name in source.formats if name != "pdf"])  # documents are for pipelines
    types = [media_type for media_type, name in DECLARABLE.items() if name in labels]
    # Some systems have no content type for these extensions.
    extensions = [f".{name}" for name in ("avif", "heic", "heif") if {"heif": "heic"}.get(name, name) in labels]
    return FormHints(
        source.max_bytes,
        size_text(source.max_bytes, language),
        message_of_error(UploadTooLarge("", limit=source.max_bytes), language, source),
        tuple(labels.values()),
        ",".join([*types, *extensions]),
    )
