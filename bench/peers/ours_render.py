"""mediagate's path of one picture, as an image process takes it; ``parallel`` is how many threads encode.

It has three tasks more: ``lossless`` makes the variants as PNG, ``prepare`` holds their pixels, and ``floor`` then does
the least that these pixels cost: a decode at the scale of the largest, and their encoding, by Pillow alone.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from bench.peers.protocol import WIDTHS, Request, Variants, serve
from mediagate import Source, VariantSpec
from mediagate.images import pixels as images
from mediagate.images.memory import MALLOC
from mediagate.images.render import render

MIDDLE = (0.5, 0.5)
LOSSLESS = Source(
    variants={str(width): VariantSpec(width=width, format="png", effort=0) for width in WIDTHS}, original="delete"
)
prepared: dict[Path, Sequence[Image.Image]] = {}


def source_of(request: Request) -> Source:
    """Return the source that asks for the five variants, and for an original if the request does."""
    specs = {str(width): VariantSpec(width=width, quality=request.quality) for width in WIDTHS}
    return Source(variants=specs, effort=request.effort, original="keep" if request.original else "delete")


def variants_of(data: bytes, source: Source, threads: int) -> Variants:
    files = render(data, source, MIDDLE, None, threads=threads).variants
    return {int(file.name): file.data for file in files}


def prepare(path: Path) -> Variants:
    """Hold the different pictures that the variants are made of, the largest first."""
    files = variants_of(path.read_bytes(), LOSSLESS, 1)
    pictures = {picture.size: picture for picture in map(_loaded, files.values())}
    prepared[path] = [pictures[size] for size in sorted(pictures, reverse=True)]
    return files


def _loaded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.copy()


def floor(path: Path, quality: int, effort: int) -> Variants:
    """Decode and encode, and do nothing in between."""
    pictures = prepared[path]
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        size = pictures[0].size
        sideways = (image.width > image.height) != (size[0] > size[1])
        image.draft(None, (size[1], size[0]) if sideways else size)
        image.load()
    made = {}
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality, method=effort)
        made[picture.width] = file.getvalue()
    return made


def work(request: Request) -> Iterator[Variants]:
    source = source_of(request)
    for path in request.files:
        match request.task:
            case "":
                yield variants_of(path.read_bytes(), source, request.parallel)
            case "lossless":
                yield variants_of(path.read_bytes(), LOSSLESS, 1)
            case "prepare":
                yield prepare(path)
            case "floor":
                yield floor(path, request.quality, request.effort)
            case other:
                raise ValueError(f"there is no task {other!r}")


def main() -> None:
    images.limit_threads()
    images.lift_pixel_limit()
    for parameter, value in MALLOC.items():
        ctypes.CDLL(None).mallopt(parameter, value)
    serve(work)


if __name__ == "__main__":
    main()
