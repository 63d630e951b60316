"""Files with too many parts are refused before decoding; files of real programs are accepted."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from mediagate import Source
from mediagate.errors import ImageTooLarge, MediagateError, UndecodableImage, UnsupportedType
from mediagate.images.pixels import decode, probe
from mediagate.images.pixels.exif import has_many_tags
from mediagate.images.pixels.gif_blocks import count_images
from mediagate.values import ImageInfo

MOVING = Source(animation="keep", max_frames=1000)


def saved(image_format: str, frames: int = 1, size: tuple[int, int] = (16, 12), **options: object) -> bytes:
    shades = [Image.new("RGB", size, (shade % 256, shade // 256, 0)) for shade in range(frames)]
    file = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": shades[1:], "duration": 50}
    shades[0].save(file, image_format, **options)
    return file.getvalue()


JPEG, PNG, GIF, WEBP, AVIF = (saved(name) for name in ("JPEG", "PNG", "GIF", "WEBP", "AVIF"))
GIF_FRAME = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"


def probed(data: bytes, tmp_path: Path, source: Source = MOVING) -> ImageInfo:
    path = tmp_path / "upload"
    path.write_bytes(data)
    with path.open("rb") as file:
        return probe(file, source)


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2) + body


def in_jpeg(*parts: bytes) -> bytes:
    return JPEG[:2] + b"".join(parts) + JPEG[2:]


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)


def in_png(*parts: bytes) -> bytes:
    return PNG[:33] + b"".join(parts) + PNG[33:]


def in_gif(*parts: bytes) -> bytes:
    start = 13 + (3 << (GIF[10] & 7) + 1 if GIF[10] & 0x80 else 0)
    return GIF[:start] + b"".join(parts) + GIF[start:]


def box(name: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4) + name + body


def webp(*parts: bytes) -> bytes:
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def riff(name: bytes, body: bytes = b"") -> bytes:
    return name + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def tiff(tags: int) -> bytes:
    entries = b"".join(struct.pack("<HHII", number, 3, 1, 1) for number in range(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(4)


EXTENDED = riff(b"VP8X", bytes(4) + (15).to_bytes(3, "little") + (11).to_bytes(3, "little"))
FRAME = bytes(6) + (15).to_bytes(3, "little") + (11).to_bytes(3, "little") + bytes(4)
EXIF = tiff(7000)

TOO_MANY: dict[str, Callable[[], bytes]] = {
    "JPEG, empty segments": lambda: in_jpeg(b"\xff\xfe\0\2" * 10_001),
    "JPEG, markers without a length": lambda: in_jpeg(b"\xff\xd0" * 10_001),
    "JPEG, markers that no encoder uses": lambda: in_jpeg(b"\xff\xf0" * 10_001),
    "JPEG, fill bytes": lambda: in_jpeg(b"\xff" * 140_000),
    "JPEG, escaped fill bytes": lambda: in_jpeg(b"\xff\0" * 140_000),
    "JPEG, bytes between segments": lambda: in_jpeg(b"\xff\xfe\0\2" + bytes(140_000)),
    "JPEG, an end before the picture": lambda: in_jpeg(b"\xff\xd9" + bytes(140_000)),
    "JPEG, tables": lambda: in_jpeg(*[segment(0xDB, (b"\0" + b"\1" * 64) * 900)] * 2),
    "JPEG, frame headers": lambda: in_jpeg(*[segment(0xC0, b"\x08\0\x0c\0\x10\3" + b"\1\x11\0" * 20_000)] * 2),
    "JPEG, Photoshop's resources": lambda: in_jpeg(
        *[segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\4\4" + bytes(6)) * 2600)] * 2
    ),
    "JPEG, segments of EXIF": lambda: in_jpeg(*[segment(0xE1, b"Exif\0\0" + bytes(100))] * 65),
    "JPEG, tags over segments": lambda: in_jpeg(
        *(segment(0xE1, b"Exif\0\0" + EXIF[at : at + 60_000]) for at in range(0, len(EXIF), 60_000))
    ),
    "PNG, empty IDAT": lambda: in_png(chunk(b"IDAT") * 10_100),
    "PNG, empty texts": lambda: in_png(chunk(b"tEXt") * 10_100),
    "PNG, palettes": lambda: in_png(chunk(b"PLTE", b"\0\0\0") * 10_100),
    "GIF, images": lambda: in_gif(GIF_FRAME * 20_001),
    "GIF, empty comments": lambda: in_gif(b"!\xfe\0" * 20_001),
    "GIF, extensions that begin with their end": lambda: in_gif(b"!\1\0\0" * 20_001),
    "GIF, bytes between blocks": lambda: in_gif(bytes(66_000)),
    "GIF, small sub-blocks": lambda: in_gif(b"!\xfe" + b"\1a" * 60_000 + b"\0"),
    "WebP, chunks": lambda: webp(EXTENDED, WEBP[12:], riff(b"ABCD") * 20_001),
    "WebP, chunks of a frame": lambda: webp(EXTENDED, riff(b"ANMF", FRAME + riff(b"ABCD") * 20_001 + WEBP[12:])),
    "AVIF, boxes": lambda: AVIF + box(b"free") * 20_001,
    "AVIF, boxes in boxes": lambda: AVIF + box(b"moov", box(b"udta", box(b"free") * 20_001)),
    "AVIF, boxes of a track": lambda: AVIF + box(b"moov", box(b"trak", box(b"edts", box(b"free") * 20_001))),
}


@pytest.mark.parametrize("name", TOO_MANY)
def test_file_with_too_many_parts_is_refused(name: str, tmp_path: Path) -> None:
    data = TOO_MANY[name]()
    for source in (Source(), MOVING):
        with pytest.raises(UndecodableImage, match="export it again"):
            probed(data, tmp_path, source)
        with pytest.raises(UndecodableImage, match="export it again"):
            decode(data, source)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP"])
def test_probe_refuses_animation_beyond_max_frames(image_format: str, tmp_path: Path) -> None:
    data = saved(image_format, frames=12, lossless=True)
    assert probed(data, tmp_path, Source(animation="keep", max_frames=12)).frames == 12
    with pytest.raises(ImageTooLarge, match="the animation has 12 frames; up to 11 are accepted"):
        probed(data, tmp_path, Source(animation="keep", max_frames=11))
    assert probed(data, tmp_path, Source(max_frames=11)).frames == 1, "later frames are ignored"


def gif_of(frames: int) -> bytes:
    """Return a GIF like those of screen recorders: a control, a comment and an image for each frame."""
    return in_gif(b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0", (b"!\xf9\4\0\5\0\0\0!\xfe\5hello\0" + GIF_FRAME) * (frames - 1))


def profile_in_pieces() -> bytes:
    """Return a JPEG whose profile fills 201 segments, like the tables of scanners."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pieces = [profile[at : at + 12] for at in range(0, 200 * 12, 12)] + [profile[200 * 12 :]]
    parts = (b"ICC_PROFILE\0" + bytes([number, len(pieces)]) + piece for number, piece in enumerate(pieces, 1))
    return in_jpeg(*(segment(0xE2, part) for part in parts))


def png_in_pieces() -> bytes:
    """Return a PNG whose pixels are in 2,000 pieces."""
    body, kept = PNG[33:], b""
    length = int.from_bytes(body[:4])
    pixels = body[8 : 8 + length]
    pieces = [pixels[at : at + 1] for at in range(len(pixels))] + [b""] * (2000 - len(pixels))
    kept = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    return PNG[:33] + kept + body[12 + length :]


HONEST: dict[str, Callable[[], bytes]] = {
    "GIF of a thousand frames": lambda: gif_of(1000),
    "WebP of a thousand frames": lambda: saved("WEBP", frames=1000, lossless=True, method=0, quality=0),
    "GIF with a long comment": lambda: in_gif(b"!\xfe" + (b"\xff" + b"a" * 255) * 1000 + b"\0"),
    "JPEG with a profile in 201 segments": profile_in_pieces,
    "JPEG that is padded": lambda: in_jpeg(b"\xff" * 4096),
    "JPEG with a panorama's XMP": lambda: in_jpeg(
        *[segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(60_000))] * 100
    ),
    "JPEG with EXIF in two segments": lambda: in_jpeg(
        segment(0xE1, b"Exif\0\0" + tiff(30) + bytes(60_000)), segment(0xE1, b"Exif\0\0" + bytes(60_000))
    ),
    "JPEG with two hundred paths": lambda: in_jpeg(
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\7\xd0\0\0\0\0\0\x1a" + bytes(26)) * 200
    ),
    "PNG in two thousand pieces": png_in_pieces,
    "WebP with zeros behind it": lambda: WEBP + bytes(400_000),
    "JPEG with zeros behind it": lambda: JPEG + bytes(400_000),
    "GIF with zeros behind it": lambda: GIF + bytes(400_000),
    "PNG with zeros behind it": lambda: PNG + bytes(400_000),
}


@pytest.mark.parametrize("name", HONEST)
def test_file_as_written_by_real_programs_is_accepted(name: str, tmp_path: Path) -> None:
    data = HONEST[name]()
    info = probed(data, tmp_path)
    assert (info.width, info.height) == (16, 12)
    assert info.frames == (1000 if "thousand frames" in name else 1)


def test_count_images_agrees_with_pillow() -> None:
    rng = random.Random(7)
    pieces = [
        GIF_FRAME, b",\0\0\0\0\1\0\1\0\x80\0\0\0\1\1\1\2\2D\1\0", b"!\xf9\4\0\5\0\0\0", b"!\xfe\0", b"!\xfe\2ab\1c\0",
        b"!\1\0", b"!\1\0\2ab\0", b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0", b"!\xff\x0bNETSCAPE2.0\0", b"!\xff\0", b"\0", b"x",
        b"!\xff\x0bXMP DataXMP\3abc\0", b"!\xf9\0", b"!", b",", b"\xff",
    ]  # fmt: skip
    agreed = 0
    for _ in range(400):
        data = in_gif(*(rng.choice(pieces) for _ in range(rng.randrange(1, 12))))
        try:
            with Image.open(io.BytesIO(data), formats=["GIF"]) as image:
                frames = getattr(image, "n_frames", 1)
        except Exception:
            continue
        assert count_images(data) == frames, data
        agreed += 1
    assert agreed > 100


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_truncated_file_is_not_reported_as_too_many_parts(name: str, tmp_path: Path) -> None:
    whole = saved(name) if name == "JPEG" else saved(name, frames=3)
    for length in range(12, len(whole), max(1, len(whole) // 60)):
        try:
            info = probed(whole[:length], tmp_path)
        except MediagateError as exc:
            assert isinstance(exc, UndecodableImage | UnsupportedType)
            assert "than any program writes" not in exc.detail
        else:
            assert (info.width, info.height) == (16, 12)


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0", b"Exif\0\0Exif\0\0"], ids=["none", "one", "two"])
def test_has_many_tags_counts_only_tags_that_fit_into_the_data(prefix: bytes) -> None:
    assert has_many_tags(prefix + tiff(6001))
    assert not has_many_tags(prefix + tiff(6000))
    assert not has_many_tags(prefix + tiff(6001)[:-40])
    assert not has_many_tags(prefix + b"MM" + tiff(6001)[2:]), "in big-endian order its offset lies behind the end"
    assert not has_many_tags(prefix)
