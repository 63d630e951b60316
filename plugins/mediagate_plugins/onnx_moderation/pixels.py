"""From a picture to a model's input tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mediagate import Picture
from mediagate_plugins.onnx_moderation.session import Tensor


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The input of a model; ``width`` and ``height`` in pixels.

    Each channel's value is ``(pixel x scale - mean) / std``, with ``mean`` and ``std`` in the order of ``colour``.
    """

    name: str
    dtype: Literal["float32", "float16", "uint8"]
    layout: Literal["NCHW", "NHWC"]
    width: int
    height: int
    fit: Literal["stretch", "centre", "corner"]
    crop: float
    pad: int
    colour: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def uncropped(self) -> tuple[int, int]:
        """The size to which a picture is stretched before its margins are cut off."""
        return round(self.width / self.crop), round(self.height / self.crop)


def fitted(picture: Picture, spec: InputSpec) -> NDArray[np.uint8]:
    """Return the picture as ``height x width x 3`` RGB bytes of the model's size.

    ``stretch`` distorts it, and shows its middle if ``crop`` is below 1. ``centre`` and ``corner`` preserve its
    proportions, enlarge it if necessary, and pad it with grey on both sides, or at the right and the bottom.
    """
    if spec.fit == "stretch":
        wide, high = spec.uncropped
        left, top = (wide - spec.width) // 2, (high - spec.height) // 2
        return _array(picture.resized(wide, high))[top : top + spec.height, left : left + spec.width]
    ratio = min(spec.width / picture.width, spec.height / picture.height)
    width, height = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
    left, top = ((spec.width - width) // 2, (spec.height - height) // 2) if spec.fit == "centre" else (0, 0)
    canvas = np.full((spec.height, spec.width, 3), spec.pad, np.uint8)
    canvas[top : top + height, left : left + width] = _array(picture.resized(width, height))
    return canvas


def tensor(pixels: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """Return ``height x width x 3`` RGB bytes as the model's input, a batch of one."""
    if spec.colour == "bgr":
        pixels = pixels[:, :, ::-1]
    values: Tensor = pixels
    if spec.dtype != "uint8":
        mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
        values = (pixels.astype(np.float32) * np.float32(spec.scale) - mean) / std
    if spec.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[np.newaxis], dtype=spec.dtype)


def trial_pixels(spec: InputSpec) -> NDArray[np.uint8]:
    """Return deterministic noise to test a model with."""
    return np.random.default_rng(0).integers(0, 256, (spec.height, spec.width, 3), np.uint8)


def _array(picture: Picture) -> NDArray[np.uint8]:
    return np.frombuffer(picture.rgb(), np.uint8).reshape(picture.height, picture.width, 3)
