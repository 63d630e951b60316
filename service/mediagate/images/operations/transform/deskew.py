"""deskew: find by how much a scanned page is turned, and turn it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from PIL import Image, ImageFilter
from pydantic import Field

from mediagate.images import pixels
from mediagate.images.operations.canvas import behind
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import PIPELINES, Context, Operation, Params, Size
from mediagate.images.operations.parameters import Colour
from mediagate.images.operations.rotation import expanded, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURED_EDGE = 1000
"""Longer edge in pixels of the reduced page whose lines are measured."""
COARSE, FINE = 1.0, 0.1
"""Steps of the search, in degrees."""
CLEARER = 1.05
"""How many times better than at 0 degrees the lines must be told apart; else the page has none and stays as it is."""


class Deskew(Params):
    """Find the angle of the lines of a page, to 0.1 degrees, and turn the picture back by it."""

    max_degrees: Annotated[float, Field(gt=0, le=15)] = Field(
        15.0, description="the largest angle to look for, up to 15"
    )
    background: Colour = Field("#ffffffff", description='of the corners: "#rrggbb", "#rrggbbaa" or "transparent"')


def deskew(frames: Frames, params: Deskew, context: Context) -> Frames:
    """Return the frames turned by the angle of the first one."""
    degrees = skew(frames.images[0], params.max_degrees)
    if degrees == 0:
        context.warn("not_skewed", "no skew was found, so the picture stays as it is")
        return frames
    return frames.each(lambda image: behind(turned(image, -degrees, expand=True), params.background))


def skew(image: Image.Image, max_degrees: float) -> float:
    """Return by how many degrees, clockwise, the lines of a page are turned; 0 if it has no lines.

    Projection profiles (Postl 1986): seen along its lines, a page has the greatest contrast between ink and gaps.
    """
    import numpy as np

    page = pixels.within(pixels.flattened(image, (255, 255, 255)), MEASURED_EDGE).convert("L")
    if min(page.size) < 3:
        return 0.0
    ink = np.asarray(page.filter(ImageFilter.FIND_EDGES), dtype=np.float64)[1:-1, 1:-1]
    down, across = np.nonzero(ink > ink.mean() + ink.std())
    if down.size == 0:
        return 0.0
    weights = ink[down, across]
    # Around the centre, so that no angle moves the ink out of the profile.
    down, across = down - ink.shape[0] / 2, across - ink.shape[1] / 2

    def contrast(degrees: float) -> float:
        return _contrast(down, across, weights, degrees)

    steps = np.arange(-max_degrees, max_degrees + COARSE / 2, COARSE).clip(-max_degrees, max_degrees)
    coarse = float(max(steps, key=contrast))
    near = coarse + np.arange(-COARSE, COARSE + FINE / 2, FINE)
    found = round(float(max(near.clip(-max_degrees, max_degrees), key=contrast)), 1)
    return found if contrast(found) > CLEARER * contrast(0.0) else 0.0


def _contrast(down: NDArray[Any], across: NDArray[Any], weights: NDArray[Any], degrees: float) -> float:
    import numpy as np

    angle = np.radians(degrees)
    rows = down * np.cos(angle) - across * np.sin(angle)
    profile = np.bincount((rows - rows.min()).astype(np.int64), weights=weights)
    return float(np.square(np.diff(profile)).sum())


def resized(params: Deskew, size: Size) -> Size:
    """Return an upper bound of the size of the result."""
    return expanded(size, params.max_degrees)


DESKEW = Operation("deskew", "transform", Deskew, deskew, RATES["deskew"], needs=PIPELINES, resized=resized)
