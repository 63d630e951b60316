"""Random pictures in random files, as ordinary encoders write them."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from tests.support.samples.icc_writer import matrix_profile
from tests.support.samples.sample import cat, encoded, face

FORMATS = ("jpeg", "png", "webp", "gif", "avif", "heic")
MODES = {
    "jpeg": ("RGB", "L", "CMYK"),
    "png": ("RGB", "L", "RGBA", "LA", "P", "1", "I;16"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P", "L", "RGBA"),
    "avif": ("RGB", "RGBA", "L"),
    "heic": ("RGB", "RGBA", "L"),
}
NAMES = {"heic": "HEIF"}
ANIMATES = ("png", "webp", "gif", "avif")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LARGEST = 150

pillow_heif.register_heif_opener()


def random_file(random: Random) -> tuple[str, bytes]:
    """Return a format and a file."""
    image_format = random.choice(FORMATS)
    # Mostly sizes that can be halved three times, where reducing is exact.
    step = random.choice((1, 8, 8))
    size = step * random.randint(1, LARGEST // step), step * random.randint(1, LARGEST // step)
    mode = random.choice(MODES[image_format])
    options = _options(image_format, random)
    first = _picture(size, mode, random)
    if image_format in ANIMATES and mode not in ("1", "I;16") and random.random() < 0.4:
        count = random.randint(1, 4)
        options |= {
            "save_all": True,
            "append_images": [_picture(size, mode, random) for _ in range(count)],
            "duration": [random.choice((0, 20, 100)) for _ in range(count + 1)],
        }
        if image_format in ("gif", "png"):
            options["disposal"] = random.randrange(3)
    try:
        return image_format, encoded(first, NAMES.get(image_format, image_format), **options)
    except (OSError, ValueError):  # Pillow's encoders cannot do all that they are asked for
        return image_format, encoded(first.convert("RGB"), NAMES.get(image_format, image_format))


def _options(image_format: str, random: Random) -> dict[str, Any]:
    quality = random.choice((30, 75, 95, 100))
    options: dict[str, Any] = {}
    match image_format:
        case "jpeg":
            options = {"quality": quality, "subsampling": random.randrange(3), "progressive": random.random() < 0.4}
            if random.random() < 0.3:
                exif = Image.Exif()
                exif[0x0112] = random.randint(1, 8)
                options["exif"] = exif.tobytes()
        case "webp":
            options = {"quality": quality, "lossless": random.random() < 0.5, "exact": True, "method": 0}
        case "avif":
            options = {"quality": quality, "speed": 10, "subsampling": random.choice(("4:2:0", "4:4:4"))}
        case "heic":
            options = {"quality": quality, "chroma": random.choice((420, 444))}
    if image_format != "gif" and random.random() < 0.3:
        gamma = random.choice((0.2, 1.0, 2.2, 5.0))
        curves = [(np.arange(256) / 255) ** gamma] * 3
        options["icc_profile"] = random.choice((SRGB, matrix_profile(curves, name="sRGB"), b"no profile"))
    return options


def _picture(size: tuple[int, int], mode: str, random: Random) -> Image.Image:
    """Return a photo, a slope, plain colour or noise, with random alpha where the mode has it."""
    rng = np.random.default_rng(random.getrandbits(32))
    match random.randrange(5):
        case 0 | 1:
            pixels = random.choice((face, cat))()
            image = Image.fromarray(pixels).resize(size)
        case 2:
            image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize(size, Image.Resampling.BILINEAR)
        case 3:
            image = Image.new("RGB", size, tuple(rng.integers(0, 256, 3).tolist()))
        case _:
            coarse = rng.integers(0, 256, (max(1, size[1] // 8), max(1, size[0] // 8), 3), np.uint8)
            image = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)
    if mode in ("RGBA", "LA"):
        levels = rng.choice(np.array([0, 1, 8, 9, 128, 255], np.uint8), (3, 3))
        alpha = Image.fromarray(levels).resize(size, Image.Resampling.NEAREST)
        image.putalpha(alpha)
        return image.convert(mode) if mode == "RGBA" else Image.merge("LA", (image.convert("L"), alpha))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.quantize(64) if mode == "P" else image.convert(mode)
