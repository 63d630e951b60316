"""Properties of an XMP packet (ISO 16684-1), from hostile bytes, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

LONGEST = 256 * 1024
"""Bytes beyond which a packet is not read."""
MOST_PROPERTIES = 200
DEEPEST = 20
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PREFIXES: Mapping[str, str] = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://ns.adobe.com/xap/1.0/mm/": "xmpMM",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "crs",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
}


def read_xmp(packet: bytes) -> dict[str, str | list[str]]:
    """Return the simple properties, and those that are lists of texts, by prefix and name.

    Raises ``ValueError`` for a packet that is too long, too deep, not well-formed, or that declares entities.
    """
    if len(packet) > LONGEST:
        raise ValueError("the packet is too long")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(packet.rstrip(b"\0"), True)
    except expat.ExpatError as exc:
        raise ValueError("the packet is not well-formed") from exc
    return reader.properties


class _Reader:
    def __init__(self) -> None:
        self.properties: dict[str, str | list[str]] = {}
        self._path: list[str] = []
        self._texts: list[str] = []

    def refuse(self, *_: object) -> None:
        raise ValueError("the packet declares entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > DEEPEST:
            raise ValueError("the packet is too deep")
        self._texts = []
        if name == f"{_RDF} Description":
            for attribute, value in attributes.items():
                if not attribute.startswith(_RDF):
                    self._put(attribute, value)

    def text(self, data: str) -> None:
        self._texts.append(data)

    def end(self, name: str) -> None:
        self._path.pop()
        value, self._texts = "".join(self._texts).strip(), []
        if not value:
            return
        if name == f"{_RDF} li" and len(self._path) >= 3 and self._path[-3] == f"{_RDF} Description":
            self._put(self._path[-2], value, several=True)
        elif self._path and self._path[-1] == f"{_RDF} Description" and not name.startswith(_RDF):
            self._put(name, value)

    def _put(self, name: str, value: str, *, several: bool = False) -> None:
        namespace, _, local = name.rpartition(" ")
        key = f"{_PREFIXES.get(namespace, namespace)}:{local}" if namespace else local
        if key not in self.properties and len(self.properties) >= MOST_PROPERTIES:
            return
        if not several:
            self.properties[key] = value
            return
        known = self.properties.setdefault(key, [])
        if isinstance(known, list) and len(known) < MOST_PROPERTIES:
            known.append(value)
