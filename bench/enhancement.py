"""How good the operations that improve photos are: PSNR in dB beside what they must beat.

    python -m bench.enhancement

``upscale``: a photo is reduced to a half (means of four pixels) and enlarged again. ``denoise``: noise is added to a
photo. Both are compared with the photo. The photos are those of ``tests/data``, reduced to 480 pixels at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.size import add_smallest
from mediagate.images.operations import Context, Frames, parse, standard
from mediagate.images.pixels import limit_threads

DATA = Path(__file__).parents[1] / "tests" / "data"
PHOTOS = (
    "photos/photo_2725x2225.jpg",
    "photos/dog_exif_xmp_icc.jpg",
    "moderation/astronaut.png",
    "moderation/chelsea.png",
    "moderation/grace_hopper.jpg",
)
EDGE = 480
NOISE = (5, 10, 17, 25)
"""Standard deviations in levels."""
STRENGTHS = (25, 50, 100)
OPERATIONS = standard()


def step(picture: Image.Image, op: str, **params: Any) -> Image.Image:
    """Return what one step makes of a picture."""
    wanted = parse([{"op": op, **params}], OPERATIONS).steps[0].params
    made = OPERATIONS[op].apply(Frames((picture,)), wanted, Context())
    assert isinstance(made, Frames)
    return made.images[0]


def psnr(picture: Image.Image, photo: Image.Image) -> float:
    """Return the peak signal-to-noise ratio of a picture in dB."""
    errors = np.asarray(picture, dtype=np.float64) - np.asarray(photo, dtype=np.float64)
    return float(10 * np.log10(255**2 / np.square(errors).mean()))


def noisy(photo: Image.Image, deviation: float) -> Image.Image:
    """Return a photo with normal noise, the same each time."""
    levels = np.asarray(photo, dtype=np.float64)
    noise = np.random.default_rng(1).normal(0, deviation, levels.shape)
    return Image.fromarray((levels + noise).round().clip(0, 255).astype(np.uint8))


def enlargements(photo: Image.Image) -> Mapping[str, float]:
    """Return the PSNR of each way to enlarge a photo that was reduced to a half."""
    half = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.BOX)
    ways = {
        "model": step(half, "upscale"),
        "Lanczos and unsharp": step(half, "upscale", method="lanczos"),
        "Lanczos alone": half.resize(photo.size, Image.Resampling.LANCZOS),
        "bicubic": half.resize(photo.size, Image.Resampling.BICUBIC),
    }
    return {name: psnr(picture, photo) for name, picture in ways.items()}


def denoised(photo: Image.Image) -> Mapping[str, float]:
    """Return the PSNR of a photo with each noise, before and after ``denoise`` at each strength."""
    found = {}
    for deviation in NOISE:
        picture = noisy(photo, deviation)
        found[f"noise {deviation}"] = psnr(picture, photo)
        for strength in STRENGTHS:
            found[f"noise {deviation}, {strength}"] = psnr(step(picture, "denoise", strength=strength), photo)
    return found


def main() -> None:
    """Print a table for each operation."""
    parser = argparse.ArgumentParser(prog="python -m bench.enhancement", description=__doc__.splitlines()[0])
    add_smallest(parser)
    options = parser.parse_args()
    limit_threads()
    photos = {}
    for name in PHOTOS[:1] if options.smallest else PHOTOS:
        with Image.open(DATA / name) as image:
            photo = image.convert("RGB")
        photo.thumbnail((64, 64) if options.smallest else (EDGE, EDGE))
        photos[Path(name).stem] = photo.crop((0, 0, photo.width // 2 * 2, photo.height // 2 * 2))
    for title, measure in {"upscale": enlargements, "denoise": denoised}.items():
        found = {name: measure(photo) for name, photo in photos.items()}
        print(f"\n### {title}: PSNR in dB\n\n| | {' | '.join(found)} |\n| --- |{' ---: |' * len(found)}")
        for way in next(iter(found.values())):
            print(f"| {way} | {' | '.join(f'{each[way]:.2f}' for each in found.values())} |")


if __name__ == "__main__":
    main()
