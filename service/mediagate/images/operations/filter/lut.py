"""lut: the colours of a table that the caller sends."""

from __future__ import annotations

from typing import Annotated

from PIL import ImageFilter
from pydantic import AfterValidator, Field

from mediagate.images.operations.colours import in_colours
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.filter.cube import LONGEST_TEXT, read_cube, write_cube
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import Context, Operation, Params
from mediagate.images.operations.parameters import Percent


def _checked(text: str) -> str:
    """Return the table alone: jobs store it, and comments may be long."""
    return write_cube(read_cube(text))


Cube = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_checked)]


class Lut(Params):
    """Give the picture the colours of a table in the format .cube: three-dimensional, 2 to 33 colours an edge."""

    cube: Cube = Field(description="the text of the .cube file")
    intensity: Percent = Field(100.0, description="0 leaves the picture as it is, 100 is the whole table")


def lut(frames: Frames, params: Lut, context: Context) -> Frames:
    """Return the frames with other colours."""
    if params.intensity == 0:
        return frames
    table = _mixed(read_cube(params.cube), params.intensity / 100)
    return frames.each(lambda image: in_colours(image, lambda colours: colours.filter(table)))


def _mixed(table: ImageFilter.Color3DLUT, intensity: float) -> ImageFilter.Color3DLUT:
    if intensity == 1:
        return table
    edge = table.size[0]
    identity = ImageFilter.Color3DLUT.generate(edge, lambda red, green, blue: (red, green, blue))
    mixed = [colour + (other - colour) * intensity for colour, other in zip(identity.table, table.table, strict=True)]
    return ImageFilter.Color3DLUT(edge, mixed, _copy_table=False)


LUT = Operation("lut", "filter", Lut, lut, RATES["lut"])
