"""A PDF whose pages are JPEGs as they were encoded and checked (PDF 1.7, ISO 32000-1, sections 7.5 and 8.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

POINTS_PER_INCH, CSS_DPI = 72, 96
"""A pixel of a page is as large as one of CSS, unless it is said otherwise."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page: a colour JPEG, and its width and height in pixels."""

    jpeg: bytes
    size: tuple[int, int]


def pdf_of(sheets: Sequence[Sheet], dpi: int = CSS_DPI) -> bytes:
    """Return a PDF with these pages of ``dpi`` pixels per inch; the bytes depend on them alone."""
    pages = " ".join(f"{3 + 3 * number} 0 R" for number in range(len(sheets)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{pages}] /Count {len(sheets)} >>".encode(),
    ]
    for number, sheet in enumerate(sheets):
        across, down = (f"{edge * POINTS_PER_INCH / dpi:g}" for edge in sheet.size)
        drawing = f"{across} 0 0 {down} 0 0 cm /I Do".encode()
        picture = (
            f"/Type /XObject /Subtype /Image /Width {sheet.size[0]} /Height {sheet.size[1]} "
            "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode"
        )
        image, content = 4 + 3 * number, 5 + 3 * number
        page = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {across} {down}] /Contents {content} 0 R "
            f"/Resources << /XObject << /I {image} 0 R >> >> >>"
        )
        objects += [page.encode(), _stream(picture, sheet.jpeg), _stream("", drawing)]
    file, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", list[int]()
    parts = [file]
    at = len(file)
    for number, body in enumerate(objects, 1):
        part = b"%d 0 obj\n%b\nendobj\n" % (number, body)
        offsets.append(at)
        parts.append(part)
        at += len(part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(offsets) + 1, table))
    parts.append(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, at))
    return b"".join(parts)


def _stream(keys: str, data: bytes) -> bytes:
    return f"<< {keys} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"
