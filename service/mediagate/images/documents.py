"""Documents in an image process: their header, one page as a picture, and a copy without encryption.

The library of documents is loaded with the first one.
"""

from __future__ import annotations

from functools import partial
from io import BufferedReader

from mediagate.config import Source
from mediagate.errors import ImageTooLarge, UndecodableImage
from mediagate.images import pixels
from mediagate.images.document_wire import COPY_SIZE
from mediagate.images.operations import Page, Recipe, password_of, rendering
from mediagate.images.pixels.budget import OVERHEAD
from mediagate.images.pixels.formats import DOCUMENT, check_accepted, is_document, not_decodable
from mediagate.images.pixels.page_size import POINTS_PER_INCH, page_size
from mediagate.values import ImageInfo, RenderedFile

HEAD_BYTES = 64
BYTES_PER_PIXEL = 12
"""Memory of one pixel of a page: 3 of its bitmap, 4 of the picture, and the objects that are drawn."""
MOST_PAGES = 1_000_000


def begins_document(file: BufferedReader) -> bool:
    """Return whether a file begins as a document does, without reading from it."""
    return is_document(file.peek(HEAD_BYTES))


def probe(data: bytes, source: Source, password: str | None) -> ImageInfo:
    """Return the number of pages, and the size of the first one at 72 pixels per inch, within ``max_pixels``.

    Raises ``UnsupportedType``, ``UndecodableImage``, ``PasswordRequired`` and ``ImageTooLarge``.
    """
    from mediagate.images.pixels import pdfium

    with pixels.final("opening"):
        _check_head(data[:HEAD_BYTES], source)
        with pdfium.opened(data, password) as document:
            if document.pages > MOST_PAGES:
                raise ImageTooLarge(f"the document has more than {MOST_PAGES:,} pages")
            size = page_size(document.size(1), POINTS_PER_INCH, source.max_pixels)
            return ImageInfo(DOCUMENT, *size, document.pages)


def unlock(data: bytes, source: Source, password: str) -> RenderedFile:
    """Return a copy of an encrypted document that opens without a password; raises like ``probe``."""
    from mediagate.images.pixels import pdfium

    with pixels.final("opening"):
        _check_head(data[:HEAD_BYTES], source)
        with pdfium.opened(data, password) as document:
            count, copy = document.pages, document.unlocked(COPY_SIZE * source.max_bytes)
    info = probe(copy, source, None)
    if info.frames != count:
        raise UndecodableImage("the encryption of the document cannot be removed; save it without")
    return RenderedFile("unlocked", DOCUMENT, info.width, info.height, copy)


def rendered(
    data: bytes, recipe: Recipe, number: int, source: Source, memory_bytes: int | None
) -> tuple[pixels.Decoded, Page]:
    """Return a page of a document as its recipe renders it, and what steps may know of it; raises like ``probe``."""
    from mediagate.images.pixels import pdfium

    params, password = rendering(recipe), password_of(recipe)
    most = source.max_pixels
    if memory_bytes is not None:
        most = max(1, min(most, (memory_bytes - OVERHEAD) // BYTES_PER_PIXEL))
    with pixels.final("rendering"):
        _check_head(data[:HEAD_BYTES], source)
        if params is None:
            raise UndecodableImage("the steps do not render documents")
        with pdfium.opened(data, password) as document:
            if number > document.pages:
                raise UndecodableImage(f"the document has {document.pages} pages, and page {number} was asked for")
            image, dpi = document.render(number, params.dpi, most)
    decoded = pixels.Decoded(ImageInfo(DOCUMENT, *image.size), [image], [0], 1, ())
    return decoded, Page(number, dpi, most, partial(_text, data, password, number))


def _check_head(head: bytes, source: Source) -> None:
    check_accepted(head, source.formats)
    if not is_document(head):
        raise not_decodable(head, source.formats)


def _text(data: bytes, password: str | None, number: int, longest: int) -> tuple[str, bool]:
    from mediagate.images.pixels import pdfium

    with pixels.final("reading the text"), pdfium.opened(data, password) as document:
        return document.text(number, longest)
