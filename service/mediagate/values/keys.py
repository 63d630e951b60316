"""The storage's layout: where each file lies, and what its name says of it."""

from __future__ import annotations

from collections.abc import Mapping


def staging_key(job_id: str) -> str:
    """Return the private quarantine key of a job's upload."""
    return f"staging/{job_id}"


def original_key(source_type: str, source_id: str, media_id: str, extension: str) -> str:
    """Return the public key of the cleaned original."""
    return f"originals/{source_type}/{source_id}/{media_id}/original.{extension}"


def variant_key(source_type: str, source_id: str, media_id: str, variant: str, extension: str) -> str:
    """Return the public key of one variant."""
    return f"media/{source_type}/{source_id}/{media_id}/{variant}.{extension}"


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
