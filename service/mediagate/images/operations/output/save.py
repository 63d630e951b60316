"""save: encode a picture as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

from PIL.Image import Image
from pydantic import Field, model_validator

from mediagate.errors import OperationFailed
from mediagate.images import pixels
from mediagate.images.file_checks import JOINED, SAVED_AS
from mediagate.images.operations.canvas import behind
from mediagate.images.operations.costs import LOSSLESS_WEBP_BYTES, RECOMPRESSING, SAVING
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import PNG, Context, Cost, File, Operation, Params, Rate
from mediagate.images.operations.output.palette import palette_of
from mediagate.images.operations.output.recompression import recompressed
from mediagate.images.operations.output.target import encoded_within
from mediagate.images.operations.parameters import Colour
from mediagate.images.operations.recipe import OUTPUT, SAVE
from mediagate.images.pdf import CSS_DPI, Sheet, pdf_of

Format = Literal["webp", "avif", "jpeg", "png", "gif", "pdf"]
LOSSY = ("webp", "avif", "jpeg")
STILL = ("jpeg",)
"""Formats that show one frame only."""
OPAQUE = ("jpeg", "pdf")
PALETTED = ("png", "gif")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "lossless": ("webp",),
    "target_bytes": LOSSY,
    "colours": PALETTED,
    "recompress": ("png",),
    "join": ("pdf",),
    "dpi": ("pdf",),
}
"""The formats of options that not all have."""
QUALITY, EFFORT = 80, 4
MOST_ENCODINGS = 8
"""The most encodings to meet ``target_bytes``: bisection of 100 qualities, and the first attempt."""


class Save(Params):
    """Encode the picture as a file, which is judged before it is published. It has no metadata but set_metadata's."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = Field(
        OUTPUT, alias="as", description="the name of the output: lower-case letters, digits, - and _"
    )
    format: Format | None = Field(
        None, description="unset: the format of the input; HEIC becomes JPEG, a page of a document PNG"
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(QUALITY, description="of webp, avif, jpeg and pdf, 1-100")
    effort: Annotated[int, Field(ge=0, le=6)] = Field(EFFORT, description="0 is fast, 6 makes the smallest files")
    lossless: bool = Field(False, description="of webp: every pixel stays exactly as it is; png and gif always are")
    target_bytes: Annotated[int, Field(ge=100, le=2**31 - 1)] | None = Field(
        None, description="of webp, avif and jpeg: the highest quality, up to quality, whose file has no more bytes"
    )
    colours: Annotated[int, Field(ge=2, le=256)] | None = Field(
        None, description="of png and gif: the size of the palette; a gif has 256 at most, a png any number"
    )
    recompress: bool = Field(False, description="of png: search for the smallest file with the same pixels")
    background: Colour = Field("#ffffffff", description="of jpeg and pdf, which have no transparency")
    join: bool = Field(False, description="of pdf: one file with a page for each picture or page of all inputs")
    dpi: Annotated[int, Field(ge=72, le=600)] | None = Field(
        None, description="of pdf: pixels per inch, which give the size of its pages; unset: 96"
    )

    @model_validator(mode="after")
    def _fits_format(self) -> Self:
        for option, formats in OPTIONS.items():
            if getattr(self, option) and self.format is not None and self.format not in formats:
                raise ValueError(f"{option} is for {', '.join(formats)}; this step saves {self.format}")
        if self.join and self.format != "pdf":
            raise ValueError("join is for pdf; set format")
        if self.lossless and self.target_bytes is not None:
            raise ValueError("lossless leaves no quality to meet target_bytes with; set one of both")
        return self


def save(frames: Frames, params: Save, context: Context) -> File:
    """Return the file, encoded from pixels that ``context.judge`` accepted and that the file shows.

    AVIF with transparency becomes WebP, with a warning: browsers show its transparency wrong. A format without
    animation shows the first frame, with a warning. If the format of the input has no transparency, ``background`` is
    shown, with a warning. Raises ``OperationFailed`` for a picture that the format cannot hold, for options that do not
    fit the input's format, and if no quality meets ``target_bytes``.
    """
    image_format = _format(frames, params, context)
    shown, palettes = _shown(frames, image_format, params)
    context.judge(shown)
    return File(image_format, _encoded(shown, palettes, image_format, params, context), shown)


def _format(frames: Frames, params: Save, context: Context) -> str:
    wanted = params.format or SAVED_AS.get(context.format, context.format)
    for option, formats in OPTIONS.items():
        if getattr(params, option) and wanted not in formats:
            raise OperationFailed(f"{option} is for {', '.join(formats)}, and this step saves {wanted}; set format")
    if wanted == "avif" and not all(map(pixels.opaque, frames.images)):
        context.warn("format_changed", "the picture has transparency, which browsers show wrong in AVIF: saved as WebP")
        wanted = "webp"
    wanted = JOINED if params.join else wanted
    if frames.moves and wanted in STILL:
        context.warn(
            "first_frame_only", f"{wanted} has no animation: the first of {len(frames.images)} frames is saved"
        )
    if wanted in OPAQUE and params.format is None and not all(map(pixels.opaque, frames.images)):
        context.warn("transparency_lost", f"{wanted}, the format of the input, has no transparency; set format")
    limit = pixels.MAX_EDGE.get("jpeg" if wanted == "pdf" else wanted, 65_535)
    if max(frames.size) > limit:
        raise OperationFailed(f"{wanted} holds edges of up to {limit:,} pixels; resize the picture, or save it as png")
    return wanted


def _shown(frames: Frames, image_format: str, params: Save) -> tuple[Frames, list[Image]]:
    """Return the pixels that the file will show, before losses of its encoder, and the same with palettes, if any."""
    if image_format in STILL:
        frames = frames.first()
    frames = frames.each(pixels.without_invisible)
    if frames.has_alpha and all(map(pixels.opaque, frames.images)):
        frames = frames.each(lambda image: image.convert("RGB"))
    if image_format in OPAQUE:
        frames = frames.each(lambda image: pixels.flattened(behind(image, params.background), (255, 255, 255)))
    if image_format != "gif" and params.colours is None:
        return frames, []
    palettes = [palette_of(image, image_format, params.colours or 256) for image in frames.images]
    mode = "RGBA" if frames.has_alpha else "RGB"
    # Converting a picture with a palette changes its palette.
    shown = replace(frames, images=tuple(pixels.without_invisible(image.copy().convert(mode)) for image in palettes))
    # An animated PNG has one palette for all frames, so it is written without one.
    return shown, [] if image_format == "png" and frames.moves else palettes


def _encoded(shown: Frames, palettes: list[Image], image_format: str, params: Save, context: Context) -> bytes:
    images, durations_ms = palettes or list(shown.images), list(shown.durations_ms)
    exif = b""
    made = "pdf" if params.join else image_format
    if shown.credits and made in ("gif", "pdf"):
        context.warn("metadata_not_written", f"{made} files carry no texts here")
    elif shown.credits:
        told = shown.credits
        exif = pixels.exif_of(description=told.description, artist=told.artist, copyright_text=told.copyright)

    def encoded(quality: int) -> bytes:
        return pixels.encode(
            images,
            durations_ms,
            shown.plays,
            image_format,
            quality,
            params.effort,
            context.time,
            lossless=params.lossless,
            exif=exif,
        )

    if params.join:
        return pixels.encode(images, durations_ms, 1, JOINED, params.quality, params.effort, context.time)
    if image_format == "gif":
        return pixels.gif_of(images, durations_ms, shown.plays)
    if image_format == "pdf":
        pages = [
            pixels.encode([image], [0], 1, "jpeg", params.quality, params.effort, context.time) for image in images
        ]
        return pdf_of([Sheet(page, shown.size) for page in pages], params.dpi or CSS_DPI)
    if params.target_bytes is not None:
        return encoded_within(encoded, params.quality, params.target_bytes)
    data = encoded(params.quality)
    return recompressed(data, images[0].size, len(images)) if params.recompress else data


def cost(params: Save, count: int) -> Cost:
    """Return the cost of all encodings; of the slowest format if it depends on the input."""
    ns, memory = SAVING[params.format or "avif"]
    ns *= (1 + (params.effort > EFFORT)) * (MOST_ENCODINGS if params.target_bytes is not None else 1)
    if params.lossless:
        memory = max(memory, LOSSLESS_WEBP_BYTES)
    if params.recompress:
        ns, memory = ns + RECOMPRESSING.ns, max(memory, RECOMPRESSING.bytes)
    return Rate(ns, memory).cost(count)


SAVE_FILE = Operation(SAVE, "optimize", Save, save, cost, gives="file", options_need={"recompress": PNG})
