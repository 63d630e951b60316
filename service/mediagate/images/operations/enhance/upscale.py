"""upscale: twice as many pixels along each edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image, ImageFilter
from pydantic import Field

from mediagate.images.operations.costs import ENLARGING, RATES, TILE_BYTES
from mediagate.images.operations.enhance import opencv
from mediagate.images.operations.enhance.model_files import PHOTOS_TWICE
from mediagate.images.operations.enhance.tiles import in_tiles
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import ENHANCE, Context, Cost, Operation, Params, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Levels = NDArray[Any]

FACTOR = 2
MOST_PIXELS = 4_000_000
"""Of all frames of the result together, for the model: it takes seconds for a million."""
REACH, TILE = 7, 128
"""How far the model looks, and the edge of a tile, in pixels of its input."""
SPREAD = 4
"""How far visible colours spread below transparent ones, in pixels: a filter looks at them too."""
SHARPER = ImageFilter.UnsharpMask(radius=1.0, percent=60, threshold=0)
"""After Lanczos."""


class Upscale(Params):
    """Double width and height."""

    method: Literal["model", "lanczos"] = Field(
        "model",
        description="model: a network for photos, up to 4 megapixels of the result; "
        "lanczos: a filter and an unsharp mask",
    )


def upscale(frames: Frames, params: Upscale, context: Context) -> Frames:
    """Return the frames at twice their size: by waifu2x's network for photos, or by Lanczos and an unsharp mask.

    A result that is too large for the network is made by Lanczos, with a warning, and so is every one where OpenCV is
    not installed. Alpha is always enlarged by Lanczos.
    """
    enlarge = _by_model if params.method == "model" else _by_lanczos
    if params.method == "model" and (reason := _why_not(FACTOR**2 * frames.pixels)):
        context.warn("model_not_used", f"enlarged by Lanczos and an unsharp mask: {reason}")
        enlarge = _by_lanczos
    return frames.each(lambda image: _enlarged(image, enlarge))


def _why_not(count: int) -> str:
    """Return why the model cannot make this many pixels, empty if it can."""
    if not ENHANCE.available:
        return f"the model needs {ENHANCE.pip}"
    return f"the model makes up to {MOST_PIXELS:,} pixels, and these are {count:,}" if count > MOST_PIXELS else ""


def _enlarged(image: Image.Image, enlarge: Callable[[Image.Image], Image.Image]) -> Image.Image:
    large = enlarge(_spread(image))
    if image.mode == "RGBA":
        large.putalpha(image.getchannel("A").resize(large.size, Image.Resampling.LANCZOS))
    return large


def _by_lanczos(colours: Image.Image) -> Image.Image:
    return colours.resize(_twice(colours.size), Image.Resampling.LANCZOS).filter(SHARPER)


def _by_model(colours: Image.Image) -> Image.Image:
    import numpy as np

    return Image.fromarray(in_tiles(np.asarray(colours), FACTOR, REACH, TILE, _network))


def _network(colours: Levels) -> Levels:
    """Return the levels that the network makes of others."""
    import numpy as np

    (made,) = opencv.answer(PHOTOS_TWICE, colours.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    levels: Levels = np.rint(made.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
    return levels


def _spread(image: Image.Image) -> Image.Image:
    """Return the colours of a picture, with those of visible pixels below transparent ones next to them."""
    if image.mode != "RGBA":
        return image
    near = image.convert("RGBa").filter(ImageFilter.GaussianBlur(SPREAD)).convert("RGBA").convert("RGB")
    near.paste(image.convert("RGB"), mask=image.getchannel("A").point([0] + [255] * 255))
    return near


def _twice(size: Size) -> Size:
    return FACTOR * size[0], FACTOR * size[1]


def resized(params: Upscale, size: Size) -> Size:
    """Return the size of the result."""
    return _twice(size)


def cost(params: Upscale, count: int) -> Cost:
    """Return the cost of the method that a result of this many pixels is made by."""
    if params.method == "lanczos" or _why_not(count):
        return RATES["upscale"].cost(count)
    made = ENLARGING.cost(count)
    return Cost(made.cpu_ms, made.bytes + TILE_BYTES)


def load(_: Upscale) -> None:
    """Load the model, if OpenCV is installed."""
    if ENHANCE.available:
        opencv.network(PHOTOS_TWICE)


UPSCALE = Operation("upscale", "enhance", Upscale, upscale, cost, reads=(PHOTOS_TWICE,), resized=resized, load=load)
