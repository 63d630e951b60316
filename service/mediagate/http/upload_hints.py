"""What an upload form needs to know of a source, in the words of the gate's own answers."""

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
    """``max_bytes`` in words, such as ``20 MB``."""
    too_large: str
    """What people are told of a larger file."""
    formats: tuple[str, ...]
    """Names of the formats that are accepted and can be decoded here, such as ``JPEG``."""
    accept: str
    """The attribute ``accept`` of a file input: content types and file extensions."""


def form_hints(source: Source, language: Language = "en") -> FormHints:
    """Return what a page's upload form can say of a source before anything is sent."""
    from mediagate.images import accepted  # only now: it loads Pillow, which the host starts without

    labels = accepted(source.formats)
    types = [media_type for media_type, name in DECLARABLE.items() if name in labels]
    # Not every system knows a type for these extensions.
    extensions = [f".{name}" for name in ("avif", "heic", "heif") if {"heif": "heic"}.get(name, name) in labels]
    return FormHints(
        source.max_bytes,
        size_text(source.max_bytes, language),
        message_of_error(UploadTooLarge("", limit=source.max_bytes), language, source),
        tuple(labels.values()),
        ",".join([*types, *extensions]),
    )
