"""What the host checks of the files that an image process sends: it trusts none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mediagate.config import Source, VariantSpec
from mediagate.images.json_shapes import Malformed
from mediagate.values import ImageInfo, Rendered, RenderedFile, file_names, variant_of

FRAME_HEADERS = 64 << 10
BYTES_PER_PIXEL = 9
"""Limit of one frame of a published file: four incompressible channels of 16 bits, and headers."""
SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "gif": re.compile(rb"GIF8[79]a"),
    "avif": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "pdf": re.compile(rb"%PDF-1\.7"),
    "heic": re.compile(rb"....ftyp(hei[cxms]|hev[cx]|mi?f1)", re.DOTALL),
}
"""How a file of each format begins."""

SAVED_AS: Mapping[str, str] = {"heic": "jpeg", "pdf": "png"}
"""The format of a file that names none, by that of the input, where the two differ."""
JOINED = "jpeg"
"""The format of a page that is to be joined with those of other inputs."""


def check_variants(answer: Rendered, source: Source) -> None:
    """Raise ``Malformed`` unless the files are those of the variants of a source, in their order and formats."""
    expected: list[str] = []
    for name, spec in source.variants.items():
        made = [file for file in answer.variants if variant_of(file.name) == name]
        formats = [file.format for file in made]
        if formats not in (list(spec.formats), _without_avif(spec.formats)):
            raise Malformed("a variant of a format that was not requested, or without one")
        expected += file_names(name, formats)
        for file in made:
            _check_variant(file, answer.info, spec, source)
    if [file.name for file in answer.variants] != expected:
        raise Malformed("variants that were not requested")


def check_file(file: RenderedFile, info: ImageInfo, width: int, height: int) -> None:
    """Raise ``Malformed`` for a file beyond these edges in pixels, too large for its own, or of another format."""
    if file.width > width or file.height > height:
        raise Malformed("a file of larger dimensions than requested")
    most = info.frames * (file.width * file.height * BYTES_PER_PIXEL + FRAME_HEADERS)
    if len(file.data) > most:
        raise Malformed("a file with more bytes than its pixels can need")
    if not SIGNATURES[file.format].match(file.data):
        raise Malformed("a file that is not of its declared format")


def _check_variant(file: RenderedFile, info: ImageInfo, spec: VariantSpec, source: Source) -> None:
    if not spec.steps:
        check_file(file, info, spec.width or info.width, spec.height or info.height)
        return
    if file.width * file.height > source.max_pixels:
        raise Malformed("a file beyond the limits of its source")
    check_file(file, info, file.width, file.height)


def _without_avif(formats: Sequence[str]) -> list[str]:
    """Return the formats of a picture with alpha, whose AVIF becomes WebP."""
    return list(dict.fromkeys("webp" if each == "avif" else each for each in formats))
