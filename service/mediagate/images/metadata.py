"""What a file tells besides its picture. All of it is left behind, since every published file is made of pixels."""

from __future__ import annotations

from PIL import ExifTags, Image

SERIALS = (0xA431, 0xA435)
"""BodySerialNumber and LensSerialNumber (Exif 2.32, section 4.6.5)."""
CAMERA_SERIAL = 0xC62F
"""CameraSerialNumber of DNG, also written into the first directory of JPEGs."""


def found(image: Image.Image) -> tuple[str, ...]:
    """Return what is there, in these words: exif, gps, serial, thumbnail, xmp, iptc, comment, text."""
    words = _exif(image)
    info = image.info
    if info.get("xmp") or info.get("XML:com.adobe.xmp"):
        words.append("xmp")
    if info.get("photoshop"):
        words.append("iptc")
    if info.get("comment"):
        words.append("comment")
    if getattr(image, "text", None):
        words.append("text")
    return tuple(words)


def _exif(image: Image.Image) -> list[str]:
    try:
        exif = image.getexif()
        tags = set(exif) - {ExifTags.Base.Orientation}
        if not tags and not image.info.get("exif"):
            return []
        camera = exif.get_ifd(ExifTags.IFD.Exif)
        words = ["exif"]
        if exif.get_ifd(ExifTags.IFD.GPSInfo):
            words.append("gps")
        if CAMERA_SERIAL in exif or any(tag in camera for tag in SERIALS):
            words.append("serial")
        if exif.get_ifd(ExifTags.IFD.IFD1):
            words.append("thumbnail")
    except Exception:
        return ["exif"] if image.info.get("exif") else []
    return words
