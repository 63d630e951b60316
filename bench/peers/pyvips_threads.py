"""pyvips at its fastest: one decode, every size from the next larger one, what is the same once; a thread a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("VIPS_CONCURRENCY", "1")

import blurhash
import numpy as np
import pyvips
from PIL import Image

from bench.peers.protocol import WIDTHS, Request, Variants, serve


def render(path: Path, quality: int, effort: int) -> Variants:
    larger: Any = pyvips.Image.thumbnail_buffer(
        path.read_bytes(), max(WIDTHS), height=10_000_000, size="down", export_profile="srgb"
    ).copy_memory()
    by_size: dict[int, bytes] = {}
    variants = {}
    for width in sorted(WIDTHS, reverse=True):
        if width < larger.width:
            larger = larger.thumbnail_image(width, height=10_000_000, size="down").copy_memory()
        if larger.width not in by_size:
            by_size[larger.width] = larger.webpsave_buffer(Q=quality, effort=effort, keep="none")
        variants[width] = by_size[larger.width]
    tiny = larger.thumbnail_image(32, height=32)
    blurhash.encode(Image.fromarray(np.asarray(tiny.numpy())), 4, 3)
    return variants


def work(request: Request) -> Iterable[Variants]:
    with ThreadPoolExecutor(request.parallel) as threads:
        yield from threads.map(lambda path: render(path, request.quality, request.effort), request.files)


if __name__ == "__main__":
    pyvips.cache_set_max(0)
    serve(work)
