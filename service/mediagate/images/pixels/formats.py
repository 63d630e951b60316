"""Accepted formats: determined by decoding the header, never by a name or a declared type."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec

from PIL import AvifImagePlugin, Image, WebPImagePlugin, features
from PIL import __version__ as PILLOW

from mediagate.errors import ConfigError, MediagateError, UndecodableImage, UnsupportedType
from mediagate.images.pixels import igzip, lanczos, libwebp

OLDEST_PILLOW = (13, 0)
"""Older releases have decoders with known memory faults (CVE-2026-96639, CVE-2026-112398 and others)."""
OLDEST_LIBHEIF = (1, 23, 6)
"""Older releases have decoders with known memory faults (1.23.3: GHSA-x8r2-mggj-j6wr and others; 1.23.4 to 1.23.6
fixed more). pillow-heif 1.8 brings this one along."""
FORMATS: Mapping[str, str] = {
    "JPEG": "jpeg",
    "MPO": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "AVIF": "avif",
    "HEIF": "heic",
}
"""Mediagate's name of a format by Pillow's. An MPO is a JPEG followed by further pictures, which are discarded."""
LABELS: Mapping[str, str] = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "gif": "GIF",
    "avif": "AVIF",
    "heic": "HEIC",
    "pdf": "PDF",
}
"""The common name of a format, by mediagate's name."""
MAX_EDGE: Mapping[str, int] = {"webp": 16383, "jpeg": 65500, "avif": 16383, "png": 2**31 - 1}
"""Longest edge that a format, or its encoder, supports, in pixels; a variant requested as AVIF may become WebP."""

DOCUMENT = "pdf"
"""The format of documents; their pages are rendered to pictures."""
_AVIF_BRANDS = (b"avif", b"avis")
_HEVC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis")
_HEIC_BRANDS = (*_HEVC_BRANDS, b"mif1", b"msf1")
_SIGNATURES: Mapping[bytes, str] = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"RIFF": "webp",
    b"%PDF-": DOCUMENT,
}
_OTHERS: Mapping[bytes, str] = {
    b"<svg": "SVG",
    b"<?xml": "SVG and other XML",
    b"II*\0": "TIFF and raw",
    b"MM\0*": "TIFF and raw",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"\0\0\1\0": "ICO",
    b"8BPS": "Photoshop",
    b"\0\0\0\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cJXL": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
}

# Here, since the first picture of each process would otherwise pay for it out of its own memory.
Image.preinit()

try:
    import pillow_heif
except ImportError:
    _heif = False
else:
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    _heif = True


def decodable(formats: Collection[str] = LABELS) -> list[str]:
    """Return Pillow's names of the formats among these that can be decoded here."""
    missing = {"MPO"}  # opened as a JPEG
    if not features.check("avif"):
        missing.add("AVIF")
    if not WebPImagePlugin.SUPPORTED:
        missing.add("WEBP")
    if not _heif:
        missing.add("HEIF")
    return [name for name, ours in FORMATS.items() if name not in missing and ours in formats]


def accepted(formats: Collection[str]) -> dict[str, str]:
    """Return the common names, by mediagate's names, of the formats among these that can be decoded here."""
    found = {FORMATS[name] for name in decodable(formats)}
    if DOCUMENT in formats and reads_documents():
        found.add(DOCUMENT)
    return {name: label for name, label in LABELS.items() if name in found}


def reads_documents() -> bool:
    """Return whether the library of documents is installed; it is loaded in image processes alone."""
    return find_spec("pypdfium2") is not None


def is_document(head: bytes) -> bool:
    """Return whether a file has the signature of a document."""
    return _signed(head) == DOCUMENT


def limit_threads() -> None:
    """Limit every decoder and encoder to one thread: parallelism comes from the image processes."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def lift_pixel_limit() -> None:
    """Disable Pillow's pixel limit; the limits of the source are checked before anything is decoded."""
    Image.MAX_IMAGE_PIXELS = None


def check_pillow(version: str = PILLOW) -> None:
    """Raise ``ConfigError`` when Pillow is older than the oldest release that is safe with hostile files."""
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PILLOW:
        oldest = ".".join(map(str, OLDEST_PILLOW))
        raise ConfigError(f'Pillow {version} has known faults in its decoders: pip install "pillow>={oldest}"')


def check_libheif(version: str | None = None) -> None:
    """Raise ``ConfigError`` when libheif is installed and older than the oldest release that is safe."""
    found = version or (pillow_heif.libheif_version() if _heif else None)
    if found is not None and tuple(map(int, re.findall(r"\d+", found)[:3])) < OLDEST_LIBHEIF:
        oldest = ".".join(map(str, OLDEST_LIBHEIF))
        raise ConfigError(
            f"libheif {found} has known faults in its decoders, which {oldest} fixes: "
            'pip install "pillow-heif>=1.8", or uninstall pillow-heif to accept no HEIC'
        )


def codecs() -> str:
    """Return one line with the decodable formats and libraries; raises ``ConfigError`` for a missing or old library."""
    check_pillow()
    check_libheif()
    missing = [name for name in ("webp", "jpg", "zlib", "littlecms2") if not features.check(name)]
    if missing:
        raise ConfigError(f"Pillow was built without {', '.join(missing)}: install a wheel from PyPI")
    names = ", ".join(FORMATS[name] for name in decodable())
    libraries = "; ".join(f"{name} {version}" for name, version in _libraries() if version)
    return (
        f"Pillow {PILLOW}: {names}"
        + (f", {DOCUMENT}" if reads_documents() else "")
        + ("" if _heif else ' (heic: pip install "mediagate[heic]")')
        + ("" if reads_documents() else ' (pdf: pip install "mediagate[pdf]")')
        + f"; {libraries}; resized by {lanczos.name()}; own WebP decoded by {libwebp.name()}"
        + f"; PNG compressed by {igzip.name()}"
    )


def _libraries() -> Iterator[tuple[str, str | None]]:
    """Yield the libraries that read hostile bytes, with their versions."""
    turbo = features.version_feature("libjpeg_turbo")
    yield ("libjpeg-turbo", turbo) if turbo else ("libjpeg", features.version_codec("jpg"))
    yield "zlib-ng" if features.version_feature("zlib_ng") else "zlib", features.version_codec("zlib")
    yield "libwebp", features.version_module("webp")
    yield "libavif", features.version_module("avif")
    yield "Little CMS", features.version_module("littlecms2")
    if _heif:
        yield "libheif", pillow_heif.libheif_version()
        yield from (("", decoder) for decoder in pillow_heif.libheif_info()["decoders"].values())
    if reads_documents():
        yield "pypdfium2", metadata.version("pypdfium2")


def check_accepted(head: bytes, formats: Collection[str]) -> None:
    """Raise ``UnsupportedType`` for a file with the signature of a format that is not among these."""
    signed = _signed(head)
    if signed == DOCUMENT and signed not in formats:
        raise UnsupportedType(
            f"PDF files are not accepted here; {_send(formats)}, or send the document to a pipeline that renders it"
        )
    if signed is not None and signed not in formats:
        raise UnsupportedType(f"{LABELS[signed]} files are not accepted here; {_send(formats)}")


def check_head(head: bytes, formats: Collection[str]) -> None:
    """Raise ``UnsupportedType`` if the first 64 bytes of a file show that no decoder of these formats accepts it.

    A file that begins like AVIF or HEIC with an unknown brand is left to the decoders.
    """
    check_accepted(head, formats)
    if _signed(head) is None and head[4:8] != b"ftyp":
        raise not_decodable(head, formats)


def not_decodable(head: bytes, formats: Collection[str]) -> MediagateError:
    """Return the error for a file that no decoder of these formats accepted, based on its first bytes."""
    signed = _signed(head)
    if signed == "heic" and not _heif:
        return UnsupportedType(
            f"HEIC is not accepted here; {_send(formats)}, or have the service installed with "
            'pip install "mediagate[heic]"'
        )
    if signed == "avif" and "AVIF" not in decodable():
        return UnsupportedType(f"AVIF is not accepted here, since Pillow was built without it; {_send(formats)}")
    if signed == DOCUMENT:
        return UnsupportedType("a PDF is not a picture; send it to a pipeline whose first step is render")
    if signed is not None:
        return damaged()
    for magic, name in _OTHERS.items():
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(magic):
            return UnsupportedType(f"{name} files are not accepted; {_send(formats)}")
    return UnsupportedType(f"the file is not a picture of an accepted format; {_send(formats)}")


def damaged() -> UndecodableImage:
    """Return the error for a damaged file of an accepted format."""
    return UndecodableImage("the picture is damaged or incomplete; export it again")


def _send(formats: Collection[str]) -> str:
    """Return the advice which formats to send, in the order of ``LABELS``."""
    labels = accepted(formats).values()
    if not labels:
        return "none of this source's formats can be decoded here"
    *others, last = labels
    return f"send {', '.join(others)} or {last}" if others else f"send {last}"


def _signed(head: bytes) -> str | None:
    """Return the format whose signature a file has."""
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature) and (name != "webp" or head[8:12] == b"WEBP"):
            return name
    if head[4:8] != b"ftyp":
        return None
    # The first brand may be shared by all formats of this kind (mif1); then the compatible brands decide.
    length = min(len(head), int.from_bytes(head[:4], "big"))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if brands.intersection(_AVIF_BRANDS) and head[8:12] not in _HEVC_BRANDS:
        return "avif"
    return "heic" if head[8:12] in _HEIC_BRANDS else None
