"""What a file tells besides its picture. All of it is left behind, since every published file is made of pixels."""

from __future__ import annotations

from PIL import Image
from PIL.ExifTags import IFD, Base

from mediagate.images.pixels.exif import has_many_tags
from mediagate.images.pixels.png_chunks import text_keywords

ORIENTATION = int(Base.Orientation)
SERIALS = (0xA431, 0xA435, 0xC62F)
"""BodySerialNumber and LensSerialNumber (Exif 2.32, section 4.6.5), CameraSerialNumber (DNG, also in JPEGs)."""
POINTERS = (int(IFD.Exif), int(IFD.GPSInfo), int(IFD.Interop), int(Base.ExifOffset), ORIENTATION)
"""What says where the rest is, and the orientation, which the pixels take over."""


LONGEST_EXIF = 1024 * 1024
"""Bytes of EXIF beyond which nothing in it is looked up: it could hold more than a million entries."""


def found(image: Image.Image, data: bytes) -> tuple[str, ...]:
    """Return what an opened file has besides the picture and its colour profile, in these words.

    ``gps`` a place; ``serial`` the number of a camera or lens; ``thumbnail`` a small copy in the EXIF, which may show
    what was cropped away; ``exif`` other camera data; ``xmp`` and ``iptc`` editors' data; ``comment`` free text;
    ``pictures`` further pictures in the same file.
    """
    info = image.info
    texts = text_keywords(data) if image.format == "PNG" else set()
    words = _exif(image)
    if "Raw profile type exif" in texts and "exif" not in words:
        words.append("exif")
    if info.get("xmp") or "XML:com.adobe.xmp" in texts or "Raw profile type xmp" in texts:
        words.append("xmp")
    if info.get("photoshop") or "Raw profile type iptc" in texts:
        words.append("iptc")
    if info.get("comment") or any(not key.startswith(("XML:com.adobe.xmp", "Raw profile type")) for key in texts):
        words.append("comment")
    if image.format in ("MPO", "HEIF") and getattr(image, "n_frames", 1) > 1:
        words.append("pictures")
    return tuple(words)


def orientation(image: Image.Image) -> int:
    """Return how the picture is stored (Exif 2.32, section 4.6.4): 1 is upright, as whatever cannot be read.

    EXIF alone counts, as for browsers; XMP may name an orientation too.
    """
    stored = image.info.get("exif") or b""
    if len(stored) > LONGEST_EXIF or has_many_tags(stored):
        return 1
    try:
        exif = Image.Exif()
        exif.load(stored)
        return int(exif.get(ORIENTATION, 1))
    except Exception:
        return 1  # broken EXIF does not make the pixels worse


def _exif(image: Image.Image) -> list[str]:
    stored = image.info.get("exif") or b""
    if len(stored) > LONGEST_EXIF or has_many_tags(stored):
        return ["exif"]
    try:
        exif = image.getexif()
        camera = exif.get_ifd(IFD.Exif)
        tags = {*exif, *camera}
        words = []
        if exif.get_ifd(IFD.GPSInfo):
            words.append("gps")
        if tags & set(SERIALS):
            words.append("serial")
        if exif.get_ifd(IFD.IFD1):
            words.append("thumbnail")
        if tags - {*SERIALS, *POINTERS}:
            words.append("exif")
    except Exception:
        # Decoders pass over EXIF that cannot be read, and so do we, saying that there was some.
        return ["exif"]
    return words
