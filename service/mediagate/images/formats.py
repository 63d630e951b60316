"""Which formats are accepted: found by decoding the header, never by a name or a declared type."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from PIL import __version__ as PILLOW
from PIL import features

from mediagate.errors import ConfigError, MediagateError, UndecodableImage, UnsupportedType

OLDEST_PILLOW = (13, 0)
"""Older releases have decoders with known memory faults (CVE-2026-96639, CVE-2026-112398 and others)."""
FORMATS: Mapping[str, str] = {
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "AVIF": "avif",
    "HEIF": "heic",
}
"""Our name of a format by Pillow's. An MPO is a JPEG with further pictures behind it, which are dropped."""
HEIC_HINT = 'HEIC is not accepted here; send JPEG, or have the service installed with pip install "mediagate[heic]"'
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_OTHERS: Mapping[bytes, str] = {
    b"<svg": "SVG",
    b"<?xml": "SVG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"\0\0\1\0": "ICO",
    b"8BPS": "Photoshop",
}

try:
    import pillow_heif
except ImportError:
    _heif = False
else:
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    _heif = True


def accepted() -> list[str]:
    """Return Pillow's names of the formats that can be decoded here."""
    return [name for name in FORMATS if name != "MPO" and (name != "HEIF" or _heif)]


def check_pillow() -> None:
    """Raise ``ConfigError`` when Pillow is older than the release that we trust with hostile files."""
    version = tuple(int(part) for part in PILLOW.split(".")[:2])
    if version < OLDEST_PILLOW:
        raise ConfigError(f"Pillow {PILLOW} has known faults: pip install 'pillow>=13.0'")


def codecs() -> str:
    """Return one line on what can be decoded; raises ``ConfigError`` when something essential is missing."""
    check_pillow()
    missing = [name for name in ("webp", "jpg", "zlib", "littlecms2") if not features.check(name)]
    if missing:
        raise ConfigError(f"Pillow was built without {', '.join(missing)}: install a wheel from PyPI")
    names = ", ".join(FORMATS[name] for name in accepted())
    return f"Pillow {PILLOW}: {names}" + ("" if _heif else ' (heic: pip install "mediagate[heic]")')


def not_decodable(head: bytes, reason: str = "") -> MediagateError:
    """Return the error for a file that no accepted decoder took, from its first bytes."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS and not _heif:
        return UnsupportedType(HEIC_HINT)
    if _signed(head):
        return UndecodableImage("the file is damaged or incomplete" + (f" ({reason})" if reason else ""))
    for magic, name in _OTHERS.items():
        if head.lstrip().startswith(magic):
            return UnsupportedType(f"{name} files are not accepted; send JPEG, PNG, WebP, GIF or AVIF")
    return UnsupportedType("the file is no picture of an accepted format; send JPEG, PNG, WebP, GIF or AVIF")


def _signed(head: bytes) -> bool:
    """Whether the file begins like one of an accepted format."""
    with suppress(IndexError):
        return (
            head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"))
            or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
            or (head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", *_HEIC_BRANDS))
        )
    return False
