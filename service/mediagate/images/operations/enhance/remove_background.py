"""remove_background: keep the people in a photo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops
from pydantic import Field

from mediagate.images import pixels
from mediagate.images.operations.canvas import behind
from mediagate.images.operations.costs import SEGMENTING
from mediagate.images.operations.enhance import opencv
from mediagate.images.operations.enhance.model_files import PEOPLE
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.operation import ENHANCE, Context, Operation, Params
from mediagate.images.operations.parameters import CLEAR, Colour

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

EDGE = 256
"""Width and height of the model's input and output."""
GUIDE_EDGE = 1024
"""Longer edge in pixels of the reduced picture along whose edges the mask is drawn."""
RADIUS, EVENNESS = 8, 1e-3
"""Of the guided filter: its reach in pixels of the guide, and the variance (0-1) from which there is an edge."""
BACKGROUND, PERSON = 0.2, 0.8
"""Scores up to which a pixel is background, and from which it is all person."""
LEAST_SHARE = 0.005
"""The part of the picture that must be person."""
MOST_UNSURE = 0.4
"""How many pixels may have scores of neither, for each of a person: 0.04 to 0.19 in photos of people, 0.5 of clouds."""


class RemoveBackground(Params):
    """Keep people, in a portrait or to the hips, and replace what is behind them."""

    background: Colour = Field(CLEAR, description='behind the people: "#rrggbb", "#rrggbbaa" or "transparent"')


def remove_background(frames: Frames, params: RemoveBackground, context: Context) -> Frames:
    """Return the frames with alpha from a model, or on a background; where they were transparent they stay so.

    Frames without a person stay as they are, with a warning.
    """
    masks = [_mask(image) for image in frames.images]
    if not any(masks):
        context.warn("no_person", "no person was found, so the picture stays as it is")
        return frames
    remaining = iter(masks)
    return frames.each(lambda image: behind(_masked(image, next(remaining)), params.background))


def _masked(image: Image.Image, mask: Image.Image | None) -> Image.Image:
    masked = image.convert("RGBA")
    if mask is not None:
        masked.putalpha(ImageChops.multiply(mask, masked.getchannel("A")))
    return masked


def _mask(image: Image.Image) -> Image.Image | None:
    """Return how much of each pixel is person, as ``L``; ``None`` if there is none."""
    import numpy as np

    shown = pixels.flattened(image, (255, 255, 255))
    score = _score(np.asarray(shown.resize((EDGE, EDGE), Image.Resampling.BOX), dtype=np.float32) / 255)
    share = (score > 0.5).mean()
    if share < LEAST_SHARE or ((score > 0.1) & (score < 0.9)).mean() > MOST_UNSURE * share:
        return None
    guide = pixels.within(shown, GUIDE_EDGE).convert("L")
    large = np.asarray(Image.fromarray(score).resize(guide.size, Image.Resampling.BILINEAR))
    drawn = _guided(large, np.asarray(guide, dtype=np.float32) / 255)
    opacity = ((drawn - BACKGROUND) / (PERSON - BACKGROUND)).clip(0, 1)
    return Image.fromarray(np.rint(opacity * 255).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)


def _score(colours: Floats) -> Floats:
    """Return the model's score of each pixel of a picture of its size, 0-1."""
    answer: Floats = opencv.answer(PEOPLE, colours.transpose(2, 0, 1)[None]).reshape(EDGE, EDGE)
    return answer


def _guided(mask: Floats, guide: Floats) -> Floats:
    """Return a mask whose edges are those of the guide (guided filter, He, Sun and Tang 2010)."""
    mean_guide, mean_mask = opencv.means(guide, RADIUS), opencv.means(mask, RADIUS)
    covariance = opencv.means(guide * mask, RADIUS) - mean_guide * mean_mask
    variance = opencv.means(guide * guide, RADIUS) - mean_guide * mean_guide
    slope = covariance / (variance + EVENNESS)
    offset = mean_mask - slope * mean_guide
    return opencv.means(slope, RADIUS) * guide + opencv.means(offset, RADIUS)


def load(_: RemoveBackground) -> None:
    """Load OpenCV and the model."""
    opencv.network(PEOPLE)


REMOVE_BACKGROUND = Operation(
    "remove_background",
    "enhance",
    RemoveBackground,
    remove_background,
    SEGMENTING,
    needs=ENHANCE,
    reads=(PEOPLE,),
    load=load,
)
