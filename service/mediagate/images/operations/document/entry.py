"""How a file enters a recipe: the pages of a document that its first step renders, or one picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from mediagate.errors import InvalidPipeline, OperationFailed
from mediagate.images.operations.document.page_numbers import numbers
from mediagate.images.operations.document.render import Render
from mediagate.images.operations.operation import Size
from mediagate.images.operations.problems import item
from mediagate.images.operations.recipe import Recipe
from mediagate.images.pixels.formats import DOCUMENT
from mediagate.images.pixels.page_size import page_size
from mediagate.values import ImageInfo

PICTURE: tuple[None] = (None,)
"""What a picture enters with: no page."""


def rendering(recipe: Recipe) -> Render | None:
    """Return how a recipe renders documents; ``None``: it takes pictures alone."""
    params = recipe.steps[0].params if recipe.steps else None
    return params if isinstance(params, Render) else None


def password_of(recipe: Recipe) -> str | None:
    """Return the password for the documents of a request, ``None`` if there is none, as in a recipe that was stored."""
    render = rendering(recipe)
    return None if render is None or render.password is None else render.password.get_secret_value()


def pages_of(recipe: Recipe, image_format: str, count: int | None, most: int | None = None) -> Sequence[int | None]:
    """Return the first ``most`` pages with which a file enters, of a picture ``(None,)``; it has ``count`` pages.

    Raises ``InvalidPipeline``: for a document and a recipe that does not render it, for a page beyond its end, and for
    a picture and a recipe that cannot do without rendering.
    """
    render = rendering(recipe)
    if image_format != DOCUMENT:
        if render is not None and recipe.steps[0].on_error != "skip":
            fault = f'the file is {image_format}, not a document; leave render out, or set onError to "skip"'
            raise InvalidPipeline([item(("steps", 0), "not_a_document", fault)])
        return PICTURE
    if render is None:
        fault = 'the file is a document; begin with {"op": "render"}'
        raise InvalidPipeline([item(("steps", 0), "not_a_picture", fault)])
    try:
        return tuple(islice(numbers(render.pages, count or 0), most))
    except OperationFailed as exc:
        raise InvalidPipeline([item(("steps", 0, "pages"), "out_of_range", exc.detail, render.pages)]) from None


def check_pages(recipe: Recipe, infos: Iterable[ImageInfo], most: int) -> list[Sequence[int | None]]:
    """Return the pages with which each file enters; raises like ``pages_of``, and if all have more than ``most``."""
    entering = [pages_of(recipe, info.format, info.frames, most + 1) for info in infos]
    if sum(len(pages) for pages in entering if pages != PICTURE) > most:
        fault = f"more than {most:,} pages, which is the most that are rendered; choose some, such as 1-{most}"
        raise InvalidPipeline([item(("steps", 0, "pages"), "too_many_pages", fault)])
    return entering


def size_at_entry(recipe: Recipe, info: ImageInfo, max_pixels: int) -> Size:
    """Return the size in pixels of the picture with which a file enters, of a document that of its first page."""
    render = rendering(recipe)
    size = info.width, info.height
    return size if info.format != DOCUMENT or render is None else page_size(size, render.dpi, max_pixels)
