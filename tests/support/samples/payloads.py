"""Words, scripts and archives at every place of every format that is not the picture."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from tests.support.samples.bmff_writer import CODED as KINDS
from tests.support.samples.bmff_writer import Item, box, coded, file, full
from tests.support.samples.gif_writer import TRAILER, Frame, extension, gif
from tests.support.samples.icc_writer import SRGB_NAME, matrix_profile, srgb_curve
from tests.support.samples.jpeg import components, plain
from tests.support.samples.jpeg import file as jpeg_file
from tests.support.samples.jpeg_writer import APP0, APP1, APP2, APP14, COM, EOI, JFIF, SOF2, SOI, scan, segment, ycbcr
from tests.support.samples.png_writer import chunk, png
from tests.support.samples.sample import EDGE, Sample, cat, grey
from tests.support.samples.webp import animated, container, frame, lossless
from tests.support.samples.webp import chunk as riff_chunk

WORD = b"GPS-48.8584N-canary"
"""A word that no encoder writes by chance; it must be in no published byte."""
TORN = ("jpeg_fill",)
"""Files that need not be published: the payload is taken for a marker."""


def archive() -> bytes:
    """Return a ZIP with the word in it, not compressed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as files:
        files.writestr("word.txt", WORD)
    return packed.getvalue()


def samples() -> Iterator[Sample]:
    """Yield a sample a place, once with the word and once with an archive that has it."""
    for name, image_format, data in places(WORD):
        assert WORD in data, name
        yield Sample(f"{name}_word", image_format, data, valid=name not in TORN)
    for name, image_format, data in places(archive()):
        yield Sample(f"{name}_zip", image_format, data, valid=name not in TORN)


def places(payload: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Yield the name of a place, the format and the file."""
    yield from _jpeg(payload)
    yield from _png(payload)
    yield from _gif(payload)
    yield from _webp(payload)
    for image_format in ("avif", "heic"):
        yield from _bmff(payload, image_format)


def described(payload: bytes) -> bytes:
    """Return an sRGB profile whose description holds the payload."""
    return matrix_profile([srgb_curve(np.arange(256) / 255)] * 3, name=SRGB_NAME + payload.decode("latin-1"))


def _jpeg(payload: bytes) -> Iterator[tuple[str, str, bytes]]:
    whole = plain(cat())
    parts = components(ycbcr(cat()))
    for number in range(16):
        yield f"jpeg_app{number}", "jpeg", plain(cat(), between=segment(APP0 + number, payload))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1" + struct.pack(">HHII", 0x010E, 2, len(payload), 26) + bytes(4) + payload
    icc = described(payload)
    for name, between in (
        ("comment", segment(COM, payload)),
        ("between", payload),
        ("fill", b"\xff" * 9 + payload),
        ("exif", segment(APP1, exif)),
        ("xmp", segment(APP1, b"http://ns.adobe.com/xap/1.0/\0" + payload)),
        ("jfif_long", segment(APP0, JFIF + payload)),
        ("adobe_long", segment(APP14, b"Adobe\0\x64\0\0\0\0\1" + payload)),
        ("icc", segment(APP2, b"ICC_PROFILE\0\1\1" + icc)),
        ("mpf", segment(APP2, b"MPF\0" + payload)),
    ):
        yield f"jpeg_{name}", "jpeg", plain(cat(), between=between)
    yield "jpeg_before_eoi", "jpeg", whole[:-2] + payload + EOI
    yield "jpeg_comment_before_eoi", "jpeg", whole[:-2] + segment(COM, payload) + EOI
    yield "jpeg_behind_eoi", "jpeg", whole + payload
    three = payload.join(scan([part]) for part in parts)
    yield "jpeg_between_scans", "jpeg", jpeg_file(parts, scans=three)
    commented = segment(COM, payload).join((scan(parts, 0, 0), *(scan([part], 1, 63) for part in parts)))
    yield "jpeg_comment_between_scans", "jpeg", jpeg_file(parts, scans=commented, marker=SOF2)
    # A Huffman table whose symbols are never used, and a quantization table that nothing refers to.
    unused = (
        segment(0xC4, b"\x11" + bytes(8) + bytes([len(payload)]) + bytes(7) + payload) if len(payload) < 200 else b""
    )
    tables = segment(0xDB, b"\x03" + (payload + b"\1" * 64)[:64].replace(b"\0", b"\1"))
    if unused:
        yield "jpeg_unused_tables", "jpeg", SOI + segment(APP0, JFIF) + tables + unused + whole[2 + 18 :]


def _png(payload: bytes) -> Iterator[tuple[str, str, bytes]]:
    texts = {
        "text": chunk(b"tEXt", b"Comment\0" + payload),
        "itxt": chunk(b"iTXt", b"Comment\0\0\0\0\0" + payload),
        "exif": chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0" + payload),
        "unknown": chunk(b"teSt", payload),
        "unknown_private": chunk(b"prVt", payload),
        "time": chunk(b"tIME", payload),
        "suggested_palette": chunk(b"sPLT", b"name\0\x08" + payload),
        "physical": chunk(b"pHYs", payload),
        "stored_ztxt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(payload, 0)),
        "stored_icc": chunk(b"iCCP", b"name\0\0" + zlib.compress(described(payload), 0)),
    }
    for name, content in texts.items():
        yield f"png_{name}_before_idat", "png", png(cat(), before=content)
        yield f"png_{name}_after_idat", "png", png(cat(), after=content)
    yield "png_behind", "png", png(cat(), behind=payload)
    yield "png_chunk_behind", "png", png(cat(), behind=chunk(b"tEXt", b"Comment\0" + payload))
    # Bytes that follow the compressed rows inside IDAT.
    data = png(cat())
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at])
    longer = chunk(b"IDAT", data[at + 4 : at + 4 + size] + payload)
    yield "png_in_idat", "png", data[: at - 4] + longer + data[at + size + 8 :]


def _gif(payload: bytes) -> Iterator[tuple[str, str, bytes]]:
    still, moving = [Frame(grey(cat()))], [Frame(grey(cat())), Frame(grey(cat()).T.copy())]
    piece = payload[:255]
    for name, content in (
        ("comment", extension(0xFE, piece)),
        ("application", extension(0xFF, b"XMP DataXMP", piece)),
        ("application_loop", extension(0xFF, b"NETSCAPE2.0", piece)),
        ("plain_text", extension(0x01, bytes(12), piece)),
        ("unknown", extension(0x77, piece)),
    ):
        for frames, kind in ((still, ""), (moving, "_moving")):
            yield f"gif_{name}{kind}_before", "gif", gif(frames, EDGE, EDGE, before=content)
            yield f"gif_{name}{kind}_after", "gif", gif(frames, EDGE, EDGE, after=content + TRAILER)
    yield "gif_behind", "gif", gif(still, EDGE, EDGE, after=TRAILER + payload)
    padded = (payload + bytes(768))[: max(768, len(payload))][:768]
    yield "gif_palette", "gif", gif([Frame(np.zeros((EDGE, EDGE), np.uint8) + 255)], EDGE, EDGE, palette=padded)


def _webp(payload: bytes) -> Iterator[tuple[str, str, bytes]]:
    picture = lossless(cat())[12:]
    icc = described(payload)
    for name, content, flags in (
        ("exif", riff_chunk(b"EXIF", payload), 0x08),
        ("xmp", riff_chunk(b"XMP ", payload), 0x04),
        ("unknown", riff_chunk(b"tEsT", payload), 0),
    ):
        yield f"webp_{name}_before", "webp", container(EDGE, EDGE, content + picture, flags=flags)
        yield f"webp_{name}_after", "webp", container(EDGE, EDGE, picture + content, flags=flags)
    yield "webp_icc", "webp", container(EDGE, EDGE, riff_chunk(b"ICCP", icc) + picture, flags=0x20)
    whole = np.dstack([cat(), np.full((EDGE, EDGE), 255, np.uint8)])
    moving = animated([frame(whole), riff_chunk(b"tEsT", payload), frame(255 - whole), riff_chunk(b"EXIF", payload)])
    yield "webp_moving", "webp", moving
    yield "webp_behind", "webp", lossless(cat()) + payload


def _bmff(payload: bytes, image_format: str) -> Iterator[tuple[str, str, bytes]]:
    of_cat = coded(cat(), image_format)
    shown = Item(KINDS[image_format], of_cat.data, of_cat.properties)
    extra = {
        "free": box(b"free", payload),
        "skip": box(b"skip", payload),
        "uuid": box(b"uuid", bytes(range(16)) + payload),
        "unknown": box(b"teSt", payload),
    }
    for name, content in extra.items():
        yield f"{image_format}_{name}_before", image_format, file(image_format, [shown], before=content)
        yield f"{image_format}_{name}_after", image_format, file(image_format, [shown], after=content)
    about = ((b"cdsc", (1,)),)
    exif = Item(b"Exif", b"\0\0\0\6Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(4) + payload, references=about, hidden=True)
    xmp = Item(b"mime", payload, references=about, hidden=True, extra=b"application/rdf+xml\0")
    yield f"{image_format}_exif", image_format, file(image_format, [shown, exif])
    yield f"{image_format}_xmp", image_format, file(image_format, [shown, xmp])
    described_item = Item(shown.kind, shown.data, (*shown.properties, full(b"udes", b"en\0" + payload + b"\0\0\0")))
    yield f"{image_format}_description", image_format, file(image_format, [described_item])
    icc = described(payload)
    profile = box(b"colr", b"prof" + icc)
    kept = tuple(whole for whole in shown.properties if whole[4:8] != b"colr")
    with_icc = Item(shown.kind, shown.data, (*kept, profile))
    yield f"{image_format}_icc", image_format, file(image_format, [with_icc])
    yield f"{image_format}_behind", image_format, file(image_format, [shown], after=payload)
