"""The storage's layout: the keys of files, and the ids that a key contains."""

from __future__ import annotations

from collections.abc import Mapping

STAGING = "staging/"
"""Prefix of unprocessed files."""
MEDIA = "media/"
ORIGINALS = "originals/"
PUBLISHED = (MEDIA, ORIGINALS)
"""Prefixes of published files; everything else is private."""


def staging_key(upload_id: str) -> str:
    """Return the private quarantine key of the file of a job or a direct upload."""
    return f"{STAGING}{upload_id}"


def original_key(source_type: str, source_id: str, media_id: str, extension: str) -> str:
    """Return the public key of the cleaned original."""
    return f"{_folder(ORIGINALS, source_type, source_id, media_id)}original.{extension}"


def variant_key(source_type: str, source_id: str, media_id: str, variant: str, extension: str) -> str:
    """Return the public key of one variant."""
    return f"{_folder(MEDIA, source_type, source_id, media_id)}{variant}.{extension}"


def media_prefixes(source_type: str, source_id: str, media_id: str) -> tuple[str, ...]:
    """Return the prefixes of all published files of a media."""
    return tuple(_folder(root, source_type, source_id, media_id) for root in PUBLISHED)


def staged_id(key: str) -> str:
    """Return the id of the job or direct upload of a quarantined file."""
    return segment(key, 1)


def source_type_of(key: str) -> str:
    """Return the source type of a published file."""
    return segment(key, 1)


def media_id_of(key: str) -> str:
    """Return the id of the media of a published file."""
    return segment(key, 3)


def segment(key: str, index: int) -> str:
    """Return one segment of a key, or an empty string if the key is shorter."""
    segments = key.split("/")
    return segments[index] if len(segments) > index else ""


def _folder(root: str, source_type: str, source_id: str, media_id: str) -> str:
    return f"{root}{source_type}/{source_id}/{media_id}/"


EXTENSIONS: Mapping[str, str] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "gif": "gif",
    "avif": "avif",
    "heic": "heic",
}
"""File extension by image format; the content type of a published file follows from it."""


CONTENT_TYPES: Mapping[str, str] = {
    extension: f"image/{image_format}" for image_format, extension in EXTENSIONS.items()
}
"""Content type by file extension."""
