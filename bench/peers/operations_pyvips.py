"""pyvips: CPU milliseconds of each operation on raw pixels. Arguments: a PPM file and the number of runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

os.environ.setdefault("VIPS_CONCURRENCY", "1")

import pyvips
from PIL import Image

SEPIA = [[0.227, 0.765, 0.077], [0.2, 0.672, 0.068], [0.157, 0.529, 0.053]]


def cases(picture: Any) -> dict[str, Callable[[], Any]]:
    width, height = picture.width, picture.height
    half = max(1, width // 2), max(1, height // 2)
    blocks = min(16, width, height)
    return {
        "resize to a half": lambda: picture.resize(0.5, kernel="lanczos3"),
        "crop to a half": lambda: picture.crop(width // 4, height // 4, *half),
        "rotate by 90": picture.rot90,
        "rotate by 10": lambda: picture.rotate(10, interpolate=pyvips.Interpolate.new("bicubic")),
        "flip": picture.flipver,
        "mirror": picture.fliphor,
        "pad": lambda: picture.embed(100, 100, width + 200, height + 200, extend="background", background=[255, 0, 0]),
        "trim": lambda: picture.crop(*picture.find_trim(threshold=10)),
        "look": lambda: picture.recomb(SEPIA).cast("uchar"),
        "blur": lambda: picture.gaussblur(5),
        "sharpen": lambda: picture.sharpen(sigma=1),
        "pixelate": lambda: picture.shrink(blocks, blocks).zoom(blocks, blocks),
        "grain": lambda: (picture + pyvips.Image.gaussnoise(width, height, sigma=10)).cast("uchar"),
        "watermark": lambda: watermarked(picture),
        "save webp": lambda: picture.webpsave_buffer(Q=80, effort=4),
        "save jpeg": lambda: picture.jpegsave_buffer(Q=80, interlace=True, optimize_coding=True),
        "save png": lambda: picture.pngsave_buffer(compression=6),
    }


def watermarked(picture: Any) -> Any:
    text = pyvips.Image.text("mediagate", width=max(1, picture.width // 4))
    mark = text.new_from_image([255, 255, 255]).copy(interpretation="srgb").bandjoin(text * 0.5)
    left, top = max(0, picture.width - mark.width - 50), max(0, picture.height - mark.height - 50)
    return picture.composite2(mark, "over", x=left, y=top)


def main() -> None:
    path, runs = sys.argv[1], int(sys.argv[2])
    with Image.open(path) as image:  # the libvips of the wheel reads no PPM
        pixels = image.tobytes()
        picture = pyvips.Image.new_from_memory(pixels, image.width, image.height, 3, "uchar")
    picture = picture.copy(interpretation="srgb").copy_memory()
    costs: dict[str, list[float]] = {}
    for name, make in cases(picture).items():
        costs[name] = []
        for number in range(runs + 1):
            began = process_time()
            try:
                made = make()
            except pyvips.Error:  # this build lacks a library
                break
            if not isinstance(made, bytes):
                made.write_to_memory()
            if number:
                costs[name].append((process_time() - began) * 1000)
    sys.stdout.write(json.dumps({name: times for name, times in costs.items() if times}))


main()
