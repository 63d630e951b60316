"""What the image engine makes of a file, decoded."""

from __future__ import annotations

from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.images.render import render
from mediagate.values import RenderedFile
from tests.support.references import opened

MIDDLE = (0.5, 0.5)


def lossless(width: int | None = None, height: int | None = None) -> VariantSpec:
    """Return a variant that shows what was made, before an encoder loses any of it."""
    return VariantSpec(width=width, height=height, format="png", effort=0)


def picture(file: RenderedFile | None) -> Image.Image:
    """Return the picture of a file, upright; it must be as large as the engine says."""
    assert file is not None
    image = opened(file.data)
    assert image.size == (file.width, file.height)
    return image


def variants(source: Source, data: bytes, focal: tuple[float, float] = MIDDLE) -> dict[str, Image.Image]:
    """Return the variants by their names."""
    return {file.name: picture(file) for file in render(data, source, focal, None).variants}
