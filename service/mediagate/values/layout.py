"""The storage's layout: the keys of files, and the ids that a key contains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediagate.values.source_id import source_segment

STAGING = "staging/"
"""Prefix of unprocessed files."""
MEDIA = "media/"
ORIGINALS = "originals/"
PUBLISHED = (MEDIA, ORIGINALS)
"""Prefixes of published files; everything else is private."""
OUTPUTS = "outputs/"
"""Prefix of the files that pipelines make. They are private, whatever their source says."""
SERVED = (*PUBLISHED, OUTPUTS)
"""Prefixes of all files that clients can get."""


def staging_key(upload_id: str) -> str:
    """Return the private quarantine key of the file of a job or a direct upload."""
    return f"{STAGING}{upload_id}"


def input_key(job_id: str, position: int) -> str:
    """Return the private quarantine key of one input of a pipeline, below the key of its job."""
    return f"{staging_key(job_id)}/{position}"


def original_key(source_type: str, source_id: str, media_id: str, extension: str) -> str:
    """Return the public key of the cleaned original."""
    return f"{_folder(ORIGINALS, source_type, source_id, media_id)}original.{extension}"


def variant_key(source_type: str, source_id: str, media_id: str, variant: str, extension: str) -> str:
    """Return the public key of one file of a variant."""
    return f"{_folder(MEDIA, source_type, source_id, media_id)}{variant}.{extension}"


def output_key(folder: str, position: int, name: str, extension: str) -> str:
    """Return the private key of one output below the ``output_prefix`` of its job."""
    return f"{folder}{position}-{name}.{extension}"


def output_prefix(source_type: str, source_id: str, media_id: str) -> str:
    """Return the prefix of all outputs of a pipeline."""
    return _folder(OUTPUTS, source_type, source_id, media_id)


def file_names(variant: str, formats: Iterable[str]) -> list[str]:
    """Return the names of the files of a variant: its own for the first format, for others with the format appended."""
    return [f"{variant}.{image_format}" if number else variant for number, image_format in enumerate(formats)]


def variant_of(file_name: str) -> str:
    """Return the name of the variant of a file."""
    return file_name.partition(".")[0]


def media_prefixes(source_type: str, source_id: str, media_id: str) -> tuple[str, ...]:
    """Return the prefixes of all published files of a media."""
    return tuple(_folder(root, source_type, source_id, media_id) for root in PUBLISHED)


def staged_id(key: str) -> str:
    """Return the id of the job or direct upload of a quarantined file."""
    return segment(key, 1)


def source_type_of(key: str) -> str:
    """Return the source type of a published file or an output."""
    return segment(key, 1)


def media_id_of(key: str) -> str:
    """Return the id of the media of a published file, or of the job's media of an output."""
    return segment(key, 3)


def segment(key: str, index: int) -> str:
    """Return one segment of a key, or an empty string if the key is shorter."""
    segments = key.split("/")
    return segments[index] if len(segments) > index else ""


def _folder(root: str, source_type: str, source_id: str, media_id: str) -> str:
    return f"{root}{source_type}/{source_segment(source_id)}/{media_id}/"


EXTENSIONS: Mapping[str, str] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "gif": "gif",
    "avif": "avif",
    "heic": "heic",
}
"""File extension by image format; the content type of a published file follows from it."""


OUTPUT_EXTENSIONS: Mapping[str, str] = {**EXTENSIONS, "pdf": "pdf"}
"""The same for the files of pipelines: what they accept and make."""
CONTENT_TYPES: Mapping[str, str] = {
    **{extension: f"image/{image_format}" for image_format, extension in EXTENSIONS.items()},
    "pdf": "application/pdf",
}
"""Content type by file extension."""


def mime_type_of(file_format: str) -> str:
    """Return the content type of files of a format, such as ``image/jpeg`` for ``jpeg``."""
    return CONTENT_TYPES[OUTPUT_EXTENSIONS[file_format]]
