"""Pillow as most people write it: upright, then a copy, ``thumbnail`` and ``save`` for each size; a process a core."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path

import blurhash
from PIL import Image, ImageOps

from bench.peers.protocol import WIDTHS, Request, Variants, serve


def render(path: Path, quality: int, effort: int) -> Variants:
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    variants = {}
    for width in WIDTHS:
        small = image.copy()
        small.thumbnail((width, 10_000_000))
        file = io.BytesIO()
        small.save(file, "WEBP", quality=quality, method=effort)
        variants[width] = file.getvalue()
    image.thumbnail((32, 32))
    blurhash.encode(image, 4, 3)
    return variants


def work(request: Request) -> Iterable[Variants]:
    yield from processes.imap(partial(render, quality=request.quality, effort=request.effort), request.files)


def pids() -> list[int]:
    return [child.pid for child in active_children() if child.pid]


if __name__ == "__main__":
    with get_context("spawn").Pool(2) as processes:
        processes.map(abs, range(8))
        serve(work, pids)
