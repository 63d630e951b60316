"""look: the colours of a film, by name."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from PIL import ImageFilter
from pydantic import Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.filter.looks import LOOKS
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Percent

EDGE = 33
"""Colours along each edge of the table; between them the filter interpolates."""
Name = Literal["cinematic", "warm_film", "cool", "vintage", "noir", "mono", "sepia", "fade", "vivid", "matte"]


class Look(Params):
    """Give the picture the colours of a look."""

    name: Name = Field(description="the look")
    intensity: Percent = Field(100.0, description="0 leaves the picture as it is, 100 is the whole look")


def look(frames: Frames, params: Look, context: Context) -> Frames:
    """Return the frames with other colours."""
    if params.intensity == 0:
        return frames
    table = look_table(params.name, params.intensity / 100)
    return frames.each(lambda image: in_colours(image, lambda colours: colours.filter(table)))


@lru_cache(maxsize=32)
def look_table(name: str, intensity: float) -> ImageFilter.Color3DLUT:
    """Return identity x (1 - intensity) + look x intensity as one table.

    Interpolation is linear, so this equals mixing both pictures.
    """
    looks = _whole_look(name)
    if intensity == 1:
        return looks
    identity = ImageFilter.Color3DLUT.generate(EDGE, lambda red, green, blue: (red, green, blue))
    mixed = [colour + (other - colour) * intensity for colour, other in zip(identity.table, looks.table, strict=True)]
    return ImageFilter.Color3DLUT(EDGE, mixed, _copy_table=False)


@lru_cache(maxsize=len(LOOKS))
def _whole_look(name: str) -> ImageFilter.Color3DLUT:
    return ImageFilter.Color3DLUT.generate(EDGE, LOOKS[name])


LOOK = Operation("look", "filter", Look, look, RATES["look"])
