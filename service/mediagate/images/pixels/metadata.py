"""Metadata in an uploaded file. None of it is published, since every published file is encoded from pixels."""

from __future__ import annotations

from PIL import Image
from PIL.ExifTags import IFD, Base

from mediagate.images.pixels.exif import ORIENTATION, is_readable
from mediagate.images.pixels.png_chunks import text_keywords

SERIALS = (0xA431, 0xA435, 0xC62F)
"""BodySerialNumber and LensSerialNumber (Exif 2.32, section 4.6.5), CameraSerialNumber (DNG, also in JPEGs)."""
POINTERS = (int(IFD.Exif), int(IFD.GPSInfo), int(IFD.Interop), int(Base.ExifOffset), ORIENTATION)
"""Tags that point to other lists, and the orientation, which is applied to the pixels."""


def found(image: Image.Image, data: bytes) -> tuple[str, ...]:
    """Return the kinds of metadata in an opened file, apart from its colour profile, as these words.

    ``gps`` a location; ``serial`` the number of a camera or lens; ``thumbnail`` a small copy in the EXIF, which may
    show parts that were cropped from the picture; ``exif`` other camera data; ``xmp`` and ``iptc`` editors' data;
    ``comment`` free text; ``pictures`` further pictures in the same file.
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


def _exif(image: Image.Image) -> list[str]:
    stored = image.info.get("exif") or b""
    if not is_readable(stored):
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
        # Decoders ignore unreadable EXIF; it is reported here nevertheless.
        return ["exif"]
    return words
