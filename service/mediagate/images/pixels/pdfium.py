"""Documents as PDFium reads them: the only importer of pypdfium2, for image processes alone.

PDFium may not be called from two threads, not even for different documents; an image process has one. The library is
built without JavaScript and XFA, and nothing here opens links, actions or embedded files.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unicodedata import category

import pypdfium2
import pypdfium2.raw
from PIL import Image

from mediagate.errors import ImageTooLarge, PasswordRequired, UndecodableImage
from mediagate.images.pixels.page_size import POINTS_PER_INCH, scale_within

WRONG_PASSWORD, UNKNOWN_SECURITY = 4, 5
"""FPDF_ERR_PASSWORD and FPDF_ERR_SECURITY of fpdfview.h."""
NO_DOCUMENT = b"-"
"""Opening it fails with FPDF_ERR_FORMAT."""
DAMAGED = "the document is damaged or incomplete; export it again"
_SOFT_HYPHEN = "\ufffe"
"""How PDFium tells a hyphen at the end of a line that is not part of the word."""
_KEPT = "\n\t\u200c\u200d"
"""The control characters that a text keeps; the joiners are part of words in Persian, Hindi and other languages."""


class Document:
    """An open document; pages are numbered from 1."""

    def __init__(self, pdf: pypdfium2.PdfDocument) -> None:
        self._pdf = pdf

    @property
    def pages(self) -> int:
        """The number of pages that the document claims to have."""
        return len(self._pdf)

    def size(self, number: int) -> tuple[float, float]:
        """Return width and height of a page in points, as it is shown; raises ``UndecodableImage``."""
        with _translated():
            width, height = self._pdf.get_page_size(number - 1)
        if not (0 < width < float("inf") and 0 < height < float("inf")):
            raise UndecodableImage(f"page {number} of the document has no size; export it again")
        return width, height

    def render(self, number: int, dpi: float, max_pixels: int) -> tuple[Image.Image, float]:
        """Return a page on white in RGB, and its pixels per inch: fewer than ``dpi`` if it had too many pixels.

        Annotations and the values of form fields are drawn. Raises ``UndecodableImage`` and ``MemoryError``.
        """
        scale = scale_within(self.size(number), dpi, max_pixels)
        with _translated(), self._page(number) as page:
            # Memory of Python's, which the picture keeps alive.
            bitmap = page.render(scale=scale, rev_byteorder=True, bitmap_maker=pypdfium2.PdfBitmap.new_foreign)
            picture: Image.Image = bitmap.to_pil()
        return picture if picture.mode == "RGB" else picture.convert("RGB"), scale * POINTS_PER_INCH

    def text(self, number: int, longest: int) -> tuple[str, bool]:
        """Return the text layer of a page, up to ``longest`` characters, and whether it is longer."""
        with _translated(), self._page(number) as page:
            layer = page.get_textpage()
            try:
                count = layer.count_chars()
                text = layer.get_text_range(0, min(count, longest)) if count else ""
            finally:
                layer.close()
        plain = text.replace("\r\n", "\n").replace(_SOFT_HYPHEN, "")
        return "".join(one for one in plain if category(one)[0] != "C" or one in _KEPT), count > longest

    def unlocked(self, most: int) -> bytes:
        """Return a copy without encryption; raises ``ImageTooLarge`` if it has more than ``most`` bytes."""
        copy = _Limited(most)
        with _translated():
            self._pdf.save(copy, flags=pypdfium2.raw.FPDF_REMOVE_SECURITY)
        if copy.full:
            raise ImageTooLarge(f"the document without its encryption has more than {most:,} bytes")
        return copy.getvalue()

    @contextmanager
    def _page(self, number: int) -> Iterator[Any]:
        page = self._pdf[number - 1]
        try:
            yield page
        finally:
            page.close()


class _Limited(io.BytesIO):
    """A file in memory that takes no more than ``most`` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.full = False
        self._most = most

    def write(self, data: Any) -> int:
        self.full |= self.tell() + len(data) > self._most
        return len(data) if self.full else super().write(data)


@contextmanager
def opened(data: bytes, password: str | None = None) -> Iterator[Document]:
    """Open a document for the block; raises ``UndecodableImage`` and ``PasswordRequired``."""
    # PDFium would tell the error of the document before, if this one fails without an error of its own.
    pypdfium2.raw.FPDF_LoadMemDocument64(NO_DOCUMENT, len(NO_DOCUMENT), None)
    with _translated(encrypted=True, password=password):
        pdf = pypdfium2.PdfDocument(data, password=password)
    try:
        with _translated():
            pdf.init_forms()  # without it, fields are not drawn; no action is run
        document = Document(pdf)
        if document.pages < 1:
            raise UndecodableImage("the document has no pages; export it again")
        yield document
    finally:
        pdf.close()


@contextmanager
def _translated(*, encrypted: bool = False, password: str | None = None) -> Iterator[None]:
    """Translate the errors of PDFium into mediagate's."""
    try:
        yield
    except pypdfium2.PdfiumError as exc:
        code = getattr(exc, "err_code", None)
        if encrypted and code == WRONG_PASSWORD:
            raise PasswordRequired(
                "the document is encrypted; send its password with the step render"
                if password is None
                else "the password is wrong; send that of the document with the step render"
            ) from None
        if code == UNKNOWN_SECURITY:
            raise UndecodableImage("the encryption of the document is not supported; save it without") from None
        raise UndecodableImage(DAMAGED) from None
