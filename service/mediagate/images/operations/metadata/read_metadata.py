"""read_metadata: what the uploaded file says about its picture, as JSON."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from PIL import Image, ImageCms, IptcImagePlugin
from PIL.ExifTags import GPSTAGS, IFD, TAGS
from PIL.ImageFile import ImageFile

from mediagate.errors import OperationFailed
from mediagate.images.operations.costs import RATES
from mediagate.images.operations.frames import Frames
from mediagate.images.operations.metadata.xmp import read_xmp
from mediagate.images.operations.operation import Context, Json, Operation, Params
from mediagate.images.pixels.exif import is_readable
from mediagate.images.pixels.formats import decodable

MOST_TAGS = 300
LONGEST_TEXT = 1000
FEW_BYTES = 16
"""The most bytes of a binary value that are told one by one."""
MOST_VALUES = 10_000
"""Values in all lists together; further ones are left out."""
MOST_CHARACTERS = 100_000
"""Characters of all texts together; further ones are left out."""
RAW_PROFILE = "Raw profile type "
IPTC: Mapping[tuple[int, int], str] = {
    (2, 5): "ObjectName",
    (2, 25): "Keywords",
    (2, 55): "DateCreated",
    (2, 80): "Byline",
    (2, 90): "City",
    (2, 101): "Country",
    (2, 105): "Headline",
    (2, 110): "Credit",
    (2, 115): "Source",
    (2, 116): "CopyrightNotice",
    (2, 120): "Caption",
}
"""Names of common data sets (IPTC-IIM 4.2)."""


class ReadMetadata(Params):
    """Return EXIF, GPS, XMP, IPTC, the colour profile and comments of the uploaded file."""


def read_metadata(frames: Frames, params: ReadMetadata, context: Context) -> Json:
    """Return one object for each kind of metadata in the file; kinds that cannot be read are named in ``unreadable``.

    Texts are cut at 1,000 characters and all together at 100,000, lists at 300 values and all together at 10,000;
    ``truncated`` says whether something is missing. Raises ``OperationFailed`` for a document.
    """
    if context.page is not None:
        raise OperationFailed('read_metadata reads pictures, and the file is a document; set onError to "skip"')
    found = _Found()
    with Image.open(io.BytesIO(context.file), formats=decodable()) as image:
        info = dict(image.info)
        found.read("exif", lambda: _exif(image))
        found.read("gps", lambda: _named(image.getexif().get_ifd(IFD.GPSInfo), GPSTAGS) if _has_exif(image) else {})
        found.read("xmp", lambda: read_xmp(packet) if (packet := _packet(info)) else {})
        found.read("iptc", lambda: _iptc(image))
        found.read("icc", lambda: _icc(info.get("icc_profile")))
        found.read("text", lambda: _texts(info))
    return found.result()


class _Found:
    """What was read so far, bounded."""

    def __init__(self) -> None:
        self._kinds: dict[str, Any] = {}
        self._unreadable: list[str] = []
        self._left = MOST_CHARACTERS
        self._values_left = MOST_VALUES
        self._truncated = False

    def read(self, kind: str, reader: Callable[[], Mapping[str, Any]]) -> None:
        """Call a reader, whatever it does with hostile bytes."""
        try:
            values = reader()
            if values:
                self._kinds[kind] = {self._text(str(name)): self._plain(value) for name, value in self._first(values)}
        except MemoryError:
            raise
        except Exception:
            self._unreadable.append(kind)

    def result(self) -> Json:
        """Return everything."""
        return {**self._kinds, "unreadable": self._unreadable, "truncated": self._truncated}

    def _first(self, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        self._truncated |= len(values) > MOST_TAGS
        return list(values.items())[:MOST_TAGS]

    def _text(self, text: str) -> str:
        kept = text[: min(LONGEST_TEXT, self._left)]
        self._left -= len(kept)
        self._truncated |= len(kept) < len(text)
        return kept.encode("utf-8", "replace").decode()

    def _plain(self, value: Any) -> Any:
        """Return a JSON value for one of Pillow's."""
        if isinstance(value, bool | int):
            return value if abs(value) < 2**53 else str(value)[:LONGEST_TEXT]
        if isinstance(value, str):
            return self._text(value.rstrip("\0"))
        if isinstance(value, bytes):
            return self._bytes(value)
        if isinstance(value, tuple | list):
            kept = value[: min(MOST_TAGS, self._values_left)]
            self._values_left -= len(kept)
            self._truncated |= len(kept) < len(value)
            return [self._plain(one) for one in kept]
        return self._number(value)

    def _bytes(self, value: bytes) -> Any:
        text = value.rstrip(b"\0").decode("latin-1")
        if text.isascii() and all(character.isprintable() or character in "\r\n\t" for character in text):
            return self._text(text)
        return list(value) if len(value) <= FEW_BYTES else f"({len(value)} bytes)"

    @staticmethod
    def _number(value: Any) -> float | None:
        try:
            number = float(value)
        except (TypeError, ValueError, ZeroDivisionError):
            return None
        return round(number, 9) if isfinite(number) else None


def _has_exif(image: Image.Image) -> bool:
    stored = image.info.get("exif") or _raw_profile(image.info, "exif")
    if not is_readable(stored):
        raise ValueError("too much EXIF")
    return bool(stored)


def _exif(image: Image.Image) -> dict[str, Any]:
    if not _has_exif(image):
        return {}
    exif = image.getexif()
    pointers = {int(IFD.Exif), int(IFD.GPSInfo), int(IFD.Interop)}
    tags = {**exif, **exif.get_ifd(IFD.Exif)}
    return _named({tag: value for tag, value in tags.items() if tag not in pointers}, TAGS)


def _named(tags: Mapping[int, Any], names: Mapping[int, str]) -> dict[str, Any]:
    return {names.get(tag, f"0x{tag:04x}"): value for tag, value in tags.items()}


def _packet(info: Mapping[Any, Any]) -> bytes:
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp") or _raw_profile(info, "xmp")
    return packet.encode() if isinstance(packet, str) else bytes(packet)


def _raw_profile(info: Mapping[Any, Any], kind: str) -> bytes:
    """Return metadata that ImageMagick has written into a text of a PNG, as a name, a length and hexadecimal digits."""
    text = info.get(f"{RAW_PROFILE}{kind}") or ""
    return bytes.fromhex("".join(text.split("\n")[3:]))


def _iptc(image: ImageFile) -> dict[str, Any]:
    sets = IptcImagePlugin.getiptcinfo(image) or {}
    return {IPTC.get(number, f"{number[0]}:{number[1]}"): value for number, value in sets.items()}


def _icc(profile: bytes | None) -> dict[str, Any]:
    if not profile:
        return {}
    read = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    return {
        "description": read.profile_description or "",
        "colourSpace": read.xcolor_space.strip(),
        "version": read.version,
        "bytes": len(profile),
    }


def _texts(info: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the comments of a JPEG or GIF and the texts of a PNG."""
    skipped = ("xmp", "XML:com.adobe.xmp", RAW_PROFILE)
    return {
        name: value
        for name, value in info.items()
        if isinstance(name, str) and not name.startswith(skipped) and (isinstance(value, str) or name == "comment")
    }


READ_METADATA = Operation(
    "read_metadata", "metadata", ReadMetadata, read_metadata, RATES["read_metadata"], gives="data"
)
