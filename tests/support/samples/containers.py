"""JPEG files that carry more pictures than one: thumbnails, gain maps, further views, films."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from PIL import Image

from tests.support.samples.jpeg import plain
from tests.support.samples.jpeg_writer import APP0, APP1, APP2, JFIF, SOI, segment
from tests.support.samples.sample import Sample, cat, encoded, face, grey

XMP = b"http://ns.adobe.com/xap/1.0/\0"
GAINS = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" {attributes}>{inside}'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
DIRECTORY = (
    '<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/" '
    'xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><rdf:Seq>'
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    '<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{kind}" Item:Mime="{mime}" Item:Length="{size}"/>'
    "</rdf:li></rdf:Seq></Container:Directory>"
)
NUMBERS = 'hdrgm:GainMapMin="0" hdrgm:GainMapMax="6" hdrgm:Gamma="1" hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="6"'


def samples() -> Iterator[Sample]:
    """Yield a sample a kind: each shows the cat, and holds the face besides."""
    of_cat, of_face = plain(cat()), plain(face())
    small = encoded(Image.fromarray(face()), "JPEG", quality=85)
    for name, data in (
        ("mpo", encoded(cat(), "MPO", quality=95, save_all=True, append_images=[Image.fromarray(face())])),
        ("ultra_hdr", ultra_hdr()),
        ("motion_photo", motion_photo()),
        ("exif_thumbnail", encoded(cat(), "JPEG", quality=95, exif=_with_thumbnail(small))),
        ("jfif_thumbnail", _behind_soi(of_cat, _jfif_thumbnail())),
        ("jfxx_thumbnail", _behind_soi(of_cat, segment(APP0, JFIF) + segment(APP0, b"JFXX\0\x10" + small))),
        ("photoshop_thumbnail", _behind_soi(of_cat, segment(0xED, _photoshop(small)))),
        ("flashpix", _behind_soi(of_cat, segment(APP2, b"FPXR\0\0\1" + small))),
        ("two_pictures", of_cat + of_face),
    ):
        yield Sample(f"jpeg_{name}", "jpeg", data, Image.fromarray(cat()), hidden=True)


def ultra_hdr() -> bytes:
    """Return a picture whose gain map is the face (ISO 21496-1, written the way that came before it, in XMP)."""
    gains = encoded(Image.fromarray(grey(face())), "JPEG", quality=90)
    gain_map = _behind_soi(gains, _xmp(GAINS.format(attributes=NUMBERS, inside="")))
    inside = DIRECTORY.format(kind="GainMap", mime="image/jpeg", size=len(gain_map))
    described = _xmp(GAINS.format(attributes="", inside=inside))
    base = _behind_soi(plain(cat()), described)
    # The index of pictures is as long as it will be, so that offsets are known before it is there.
    offset = 2 + 8  # from the marker behind SOI to the byte order, from which offsets count
    size = len(base) + len(_index(0, 0, 0))
    return _behind_soi(base, _index(size, len(gain_map), size - offset)) + gain_map


def motion_photo() -> bytes:
    """Return a picture with a film behind it; the film's only track is named, not there."""
    film = struct.pack(">I4s4sI4s", 24, b"ftyp", b"mp42", 0, b"isom") + bytes(4) + plain(face())
    inside = DIRECTORY.format(kind="MotionPhoto", mime="video/mp4", size=len(film))
    attributes = (
        'xmlns:Camera="http://ns.google.com/photos/1.0/camera/" Camera:MotionPhoto="1" Camera:MotionPhotoVersion="1"'
    )
    return _behind_soi(plain(cat()), _xmp(GAINS.format(attributes=attributes, inside=inside))) + film


def _index(first: int, second: int, offset: int) -> bytes:
    """Return the multi-picture index of two pictures (CIPA DC-007, section 5.2)."""
    entries = struct.pack(">3I2H", 0x030000, first, 0, 0, 0) + struct.pack(">3I2H", 0, second, offset, 0, 0)
    fields = (
        struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
        + struct.pack(">HHII", 0xB001, 4, 1, 2)
        + struct.pack(">HHII", 0xB002, 7, len(entries), 8 + 2 + 3 * 12 + 4)
    )
    return segment(APP2, b"MPF\0" + b"MM\0*" + struct.pack(">IH", 8, 3) + fields + bytes(4) + entries)


def _with_thumbnail(small: bytes) -> bytes:
    """Return EXIF whose second directory is a thumbnail (Exif 2.32, section 4.5.5)."""
    second = 8 + 2 + 4
    start = second + 2 + 2 * 12 + 4
    first = struct.pack(">HI", 0, second)
    entries = struct.pack(">HHHII", 2, 0x0201, 4, 1, start) + struct.pack(">HHII", 0x0202, 4, 1, len(small))
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + first + entries + bytes(4) + small


def _jfif_thumbnail() -> bytes:
    small = face(100)
    return segment(APP0, JFIF[:12] + bytes(small.shape[:2]) + small.tobytes())


def _photoshop(small: bytes) -> bytes:
    """Return image resource 1036, a thumbnail."""
    content = struct.pack(">6I2H", 1, 160, 160, 480, 160 * 480, len(small), 24, 1) + small
    return b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", 1036, 0, len(content)) + content + bytes(len(content) % 2)


def _xmp(text: str) -> bytes:
    return segment(APP1, XMP + text.encode())


def _behind_soi(data: bytes, segments: bytes) -> bytes:
    return SOI + segments + data[2:]
