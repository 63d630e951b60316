"""How alike variants are to their photo: SSIM of the luma against a Lanczos resize of the whole picture.

In: ``files``, a photo and its variants; ``covering``, if the photo is to be decoded at the smallest scale of its JPEG
that is at least so wide; ``exact``, if it is to be resized in floating-point numbers. Out: ``ssim``, one for each
variant, and with ``exact`` ``pillows``, those of Pillow's own sizes.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from bench.peers.protocol import answer_lines

Plane = NDArray[np.float64]
SIGMA = 1.5
ORIENTATION = 0x0112
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


SIDEWAYS = (5, 6, 7, 8)


@lru_cache(2)
def reference(photo: str, covering: int | None) -> Image.Image:
    """Return a photo upright and in sRGB."""
    with Image.open(photo) as image:
        if covering is not None:
            sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
            scale = covering / (image.height if sideways else image.width)
            image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))
        upright = ImageOps.exif_transpose(image)
        icc = image.info.get("icc_profile")
    if icc:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.profileToProfile(upright, profile, srgb, intent, "RGB") or upright
    return upright.convert("RGB")


def luma(image: Image.Image) -> Plane:
    return np.asarray(image.convert("L"), dtype=np.float64)


def blurred(plane: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (11, 11), SIGMA), dtype=np.float64)


def ssim(a: Plane, b: Plane) -> float:
    """Return the mean structural similarity (Wang et al. 2004, Gaussian window) of two planes of one size."""
    mean_a, mean_b = blurred(a), blurred(b)
    variance_a = blurred(a * a) - mean_a * mean_a
    variance_b = blurred(b * b) - mean_b * mean_b
    covariance = blurred(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    whole = (mean_a * mean_a + mean_b * mean_b + C1) * (variance_a + variance_b + C2)
    return float(np.mean(alike / whole))


def exact_luma(whole: Image.Image, size: tuple[int, int]) -> Plane:
    """Return the luma of a photo at another size without rounding."""
    channels = (channel.convert("F").resize(size, Image.Resampling.LANCZOS) for channel in whole.split())
    return weighed(*(np.clip(np.asarray(channel, np.float64), 0, 255) for channel in channels))


def weighed(red: Plane, green: Plane, blue: Plane) -> Plane:
    """Return the luma of ITU-R BT.601, as Pillow's, without rounding."""
    return 0.299 * red + 0.587 * green + 0.114 * blue


def unrounded_luma(image: Image.Image) -> Plane:
    return weighed(*(np.asarray(channel, np.float64) for channel in image.split()))


def answer_exact(whole: Image.Image, variants: list[str]) -> dict[str, Any]:
    ours, pillows = [], []
    for variant in variants:
        with Image.open(variant) as image:
            exact = exact_luma(whole, image.size)
            ours.append(ssim(unrounded_luma(image.convert("RGB")), exact))
            pillows.append(ssim(unrounded_luma(whole.resize(image.size, Image.Resampling.LANCZOS)), exact))
    return {"ssim": ours, "pillows": pillows}


def answer(fields: dict[str, Any]) -> dict[str, Any]:
    photo, *variants = fields["files"]
    whole = reference(photo, fields.get("covering"))
    if fields.get("exact"):
        return answer_exact(whole, variants)
    found = []
    for variant in variants:
        with Image.open(variant) as image:
            direct = whole.resize(image.size, Image.Resampling.LANCZOS)
            found.append(ssim(luma(image.convert("RGB")), luma(direct)))
    return {"ssim": found}


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    answer_lines(answer)
