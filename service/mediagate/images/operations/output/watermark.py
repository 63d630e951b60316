"""watermark: put a text or another picture onto a picture."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Self

from PIL import Image, ImageFont
from pydantic import AfterValidator, Field, model_validator

from mediagate.errors import ConfigError
from mediagate.images import pixels
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.lettering import lettered, unknown_letters
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Colour, Percent, Position, offset
from mediagate.images.operations.rotation import turned

LONGEST = 200
MOST_TILES = 10_000
"""A larger number of tiles is not told apart."""


def _checked(text: str) -> str:
    if any(unicodedata.category(character).startswith("C") for character in text) or not text.strip():
        raise ValueError("write one line of visible text without control characters")
    return text


class Watermark(Params):
    """Put a text, or a picture that is sent as a named input, onto the picture: at a place, or in tiles all over it."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_checked)] | None = Field(
        None, description="up to 200 characters, of English unless the service has set another font"
    )
    picture: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="the name of an input, instead of text"
    )
    position: Position = Field("bottom_right", description="where the mark lies")
    tiled: bool = Field(False, description="whether the mark covers the picture in tiles instead")
    size: Annotated[float, Field(ge=1, le=100)] = Field(
        25.0, description="width of the mark in percent of the picture's"
    )
    margin: Annotated[float, Field(ge=0, le=50)] = Field(
        3.0, description="to the edges, in percent of the picture's shorter edge; between tiles, half of the mark"
    )
    opacity: Percent = Field(50.0, description="0-100")
    colour: Colour = Field("#ffffffff", description='of the text: "#rrggbb"')
    degrees: Annotated[float, Field(ge=-180, le=180)] = Field(0.0, description="by which the mark is turned clockwise")

    @model_validator(mode="after")
    def _has_one_mark(self) -> Self:
        if (self.text is None) == (self.picture is None):
            raise ValueError("set text or picture")
        return self


def watermark(frames: Frames, params: Watermark, context: Context, *, font: Path | None = None) -> Frames:
    """Return the frames with the mark on each; ``font`` is a file, by default the font that Pillow brings."""
    mark = turned(_mark(frames.size, params, context, font), params.degrees, expand=True)
    mark = _faded(_fitting(mark, frames.size), params.opacity / 100)
    places = _tiles(mark.size, frames.size) if params.tiled else [_place(mark.size, frames.size, params)]
    return frames.each(lambda image: _marked(image, mark, places))


def _mark(size: tuple[int, int], params: Watermark, context: Context, font: Path | None) -> Image.Image:
    width = max(1, round(size[0] * params.size / 100))
    if params.text is not None:
        if unknown := unknown_letters(params.text, font):
            context.warn("missing_glyphs", f"the font has no {' '.join(unknown[:10])}")
        return lettered(params.text, width, params.colour, font)
    picture = context.inputs[params.picture or ""].images[0]
    height = max(1, round(picture.height * width / picture.width))
    return pixels.resized(picture, _within((width, height), size)).convert("RGBA")


def _fitting(mark: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a mark that is not larger than the picture, also if it was turned."""
    return pixels.resized(mark, _within(mark.size, size))


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, outer[0] / inner[0], outer[1] / inner[1])
    return max(1, round(inner[0] * scale)), max(1, round(inner[1] * scale))


def _faded(mark: Image.Image, opacity: float) -> Image.Image:
    faded = mark.copy()
    faded.putalpha(mark.getchannel("A").point([round(alpha * opacity) for alpha in range(256)]))
    return faded


def _place(mark: tuple[int, int], whole: tuple[int, int], params: Watermark) -> tuple[int, int]:
    margin = round(min(whole) * params.margin / 100)
    room = [max(0, min(margin, (outer - inner) // 2)) for inner, outer in zip(mark, whole, strict=True)]
    left, top = offset(params.position, mark, (whole[0] - 2 * room[0], whole[1] - 2 * room[1]))
    return left + room[0], top + room[1]


def _tiles(mark: tuple[int, int], whole: tuple[int, int]) -> list[tuple[int, int]]:
    """Return places half a mark apart; every second row is moved by half a step."""
    step = max(1, round(mark[0] * 1.5)), max(1, round(mark[1] * 1.5))
    while (whole[0] // step[0] + 2) * (whole[1] // step[1] + 1) > MOST_TILES:
        step = step[0] * 2, step[1] * 2
    return [
        (left - (row % 2) * step[0] // 2, top)
        for row, top in enumerate(range(0, whole[1], step[1]))
        for left in range(0, whole[0] + step[0], step[0])
    ]


def _marked(image: Image.Image, mark: Image.Image, places: list[tuple[int, int]]) -> Image.Image:
    marked = image.copy()
    for left, top in places:
        # Pillow composites within the picture only.
        box = max(0, -left), max(0, -top), min(mark.width, image.width - left), min(mark.height, image.height - top)
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        part, at = mark.crop(box), (max(0, left), max(0, top))
        if marked.mode == "RGBA":
            marked.alpha_composite(part, at)
        else:
            marked.paste(part, at, part)
    return marked


WATERMARK = Operation("watermark", "watermark", Watermark, watermark, RATES["watermark"], inputs=("picture",))


def watermark_in(font: Path) -> Operation[Watermark]:
    """Return the operation with a font of the operator, such as one with letters of other languages than English.

    Raises ``ConfigError`` if the file is not a font.
    """
    try:
        ImageFont.truetype(font, 10)
    except OSError as exc:
        raise ConfigError(f"{font} is not a font that can be read: {exc}") from exc
    return replace(WATERMARK, apply=partial(watermark, font=font), reads=(font,))
