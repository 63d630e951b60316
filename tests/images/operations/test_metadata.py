"""read_metadata, set_metadata and strip_metadata."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, PngImagePlugin

from mediagate.images.operations import Context
from mediagate.images.operations.metadata.xmp import LONGEST, read_xmp
from mediagate.images.pixels import exif_of
from tests.support.charts import ramp, saved
from tests.support.recipes import applied, faults, ran

ARTIST, DESCRIPTION, COPYRIGHT = (ExifTags.Base.Artist, ExifTags.Base.ImageDescription, ExifTags.Base.Copyright)


def told(data: bytes) -> Any:
    value = applied(ramp(1, 1), "read_metadata", Context(file=data))
    assert len(json.dumps(value, allow_nan=False)) < 300_000
    return value


def test_read_metadata_of_a_camera(data: Path) -> None:
    value = told((data / "photos" / "dog_exif_xmp_icc.jpg").read_bytes())
    with Image.open(data / "photos" / "dog_exif_xmp_icc.jpg") as image:
        exif = image.getexif()
        assert value["exif"]["Software"] == exif[ExifTags.Base.Software]
        assert value["exif"]["FNumber"] == pytest.approx(float(exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber]))
    assert value["icc"]["colourSpace"] == "RGB" and value["icc"]["description"]
    assert len(value["xmp"]) == 1
    assert value["unreadable"] == []


def test_read_metadata_tells_the_place(data: Path) -> None:
    value = told((data / "photos" / "exif_gps_tiny.jpg").read_bytes())
    assert (value["gps"]["GPSVersionID"], value["gps"]["GPSLatitude"]) == ([0, 0, 0, 1], 4294967295.0)


def test_read_metadata_of_every_format(data: Path) -> None:
    for path in sorted((data / "formats").iterdir()):
        if "bomb" not in path.name:
            assert told(path.read_bytes())["truncated"] is False, path.name
    assert told((data / "formats" / "exif_xmp_iptc.heic").read_bytes())["exif"]["Make"] == "SONY"


def test_read_metadata_reads_what_imagemagick_writes_into_texts() -> None:
    texts = PngImagePlugin.PngInfo()
    packet = RDF.format(f'<rdf:Description {DC} xmp:Rating="5"/>').encode()
    for kind, value in (("exif", exif_of(artist="A. B.")), ("xmp", packet)):
        texts.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(value):8}\n{value.hex()}\n")
    value = told(saved(ramp(2, 2), "PNG", pnginfo=texts))
    assert (value["exif"], value["xmp"]) == ({"Artist": "A. B."}, {"xmp:Rating": "5"})
    assert "text" not in value


def test_read_metadata_names_what_it_cannot_read(data: Path) -> None:
    value = told((data / "photos" / "paris_icc_exif_xmp.png").read_bytes())  # its digits end in the middle of a byte
    assert value["unreadable"] == ["exif", "gps", "xmp"] and value["icc"]


def test_read_metadata_reads_comments_of_a_png() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "by hand")
    texts.add_itxt("Title", "ägypten")
    assert told(saved(ramp(2, 2), "PNG", pnginfo=texts))["text"] == {"Comment": "by hand", "Title": "ägypten"}


def test_read_metadata_of_a_plain_file_is_empty() -> None:
    assert told(saved(ramp(2, 2), "PNG")) == {"unreadable": [], "truncated": False}


def test_read_metadata_cuts_long_texts() -> None:
    exif = Image.Exif()
    exif[ARTIST] = "a" * 30_000
    value = told(saved(ramp(2, 2), "JPEG", exif=exif.tobytes()))
    assert value["exif"]["Artist"] == "a" * 1000 and value["truncated"]


def test_read_metadata_limits_all_texts_together() -> None:
    texts = PngImagePlugin.PngInfo()
    for number in range(290):
        texts.add_text(f"k{number}", "x" * 900)
    value = told(saved(ramp(2, 2), "PNG", pnginfo=texts))
    assert value["truncated"] and sum(map(len, value["text"].values())) <= 100_000


def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")


HOSTILE_EXIF = {
    "zero denominators": struct.pack("<2sIH", b"II*\0", 8, 1)
    + entry(0x829D, 5, 1, struct.pack("<I", 26))
    + bytes(4)
    + bytes(8),
    "endless count": struct.pack("<2sIH", b"II*\0", 8, 1) + entry(0x10E, 2, 2**32 - 1, struct.pack("<I", 8)) + bytes(4),
    "own offset": struct.pack("<2sIH", b"II*\0", 8, 1) + entry(0x8769, 4, 1, struct.pack("<I", 8)) + bytes(4),
    "truncated": b"II*\0\x08\0\0\0\xff\xff",
    "empty": b"",
    "many tags": struct.pack("<2sIH", b"II*\0", 8, 6001) + entry(0x10E, 2, 1, b"a") * 6001,
    "NaN": struct.pack("<2sIH", b"II*\0", 8, 1) + entry(0x9201, 11, 1, struct.pack("<f", float("nan"))) + bytes(4),
}


@pytest.mark.parametrize("exif", HOSTILE_EXIF.values(), ids=list(HOSTILE_EXIF))
def test_hostile_exif_is_told_or_unreadable(exif: bytes) -> None:
    value = told(saved(ramp(2, 2), "WEBP", exif=b"Exif\0\0" + exif))
    assert set(value) <= {"exif", "gps", "unreadable", "truncated"}


RDF = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:own="urn:own"'


def test_xmp_properties_are_read_by_prefix_and_name() -> None:
    body = (
        f'<rdf:Description {DC} xmp:Rating="5"><dc:title><rdf:Alt><rdf:li xml:lang="de">Ä</rdf:li></rdf:Alt></dc:title>'
        "<dc:creator><rdf:Seq><rdf:li>A</rdf:li><rdf:li>B</rdf:li></rdf:Seq></dc:creator>"
        "<dc:format>image/jpeg</dc:format><own:secret>1</own:secret></rdf:Description>"
    )
    assert read_xmp(RDF.format(body).encode()) == {
        "xmp:Rating": "5",
        "dc:title": ["Ä"],
        "dc:creator": ["A", "B"],
        "dc:format": "image/jpeg",
        "urn:own:secret": "1",
    }


LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>' + RDF.format("&b;")
HOSTILE_XMP = {
    "entities": LAUGHS.encode(),
    "external entity": b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
    "not well-formed": b"<x:xmpmeta",
    "undeclared prefix": b"<x:xmpmeta/>",
    "deep": b"<a>" * 1000 + b"</a>" * 1000,
    "long": b"<a>" + b" " * LONGEST + b"</a>",
    "not UTF-8": b"<a>\xff</a>",
}


@pytest.mark.parametrize("packet", HOSTILE_XMP.values(), ids=list(HOSTILE_XMP))
def test_hostile_xmp_is_refused(packet: bytes) -> None:
    with pytest.raises(ValueError, match="packet"):
        read_xmp(packet)
    assert told(saved(ramp(2, 2), "WEBP", xmp=packet))["unreadable"] == ["xmp"]


def test_xmp_of_many_properties_is_bounded() -> None:
    body = "".join(f"<dc:p{number}>x</dc:p{number}>" for number in range(5000))
    assert len(read_xmp(RDF.format(f"<rdf:Description {DC}>{body}</rdf:Description>").encode())) == 200


@pytest.mark.parametrize("image_format", ["jpeg", "webp", "avif", "png"])
def test_set_metadata_is_in_the_file(image_format: str) -> None:
    produced = ran(
        ramp(20, 10),
        {"op": "set_metadata", "copyright": "© 2026 Ä", "artist": "A. B."},
        {"op": "set_metadata", "description": "ok?"},
        {"op": "save", "format": image_format},
    )
    with Image.open(io.BytesIO(produced.outputs[0].data)) as image:
        exif = image.getexif()
    texts = {tag: str(value).encode("latin-1").decode().rstrip("\0") for tag, value in exif.items()}
    assert texts == {COPYRIGHT: "© 2026 Ä", ARTIST: "A. B.", DESCRIPTION: "ok?"}


def test_set_metadata_for_a_format_without_it_says_so() -> None:
    produced = ran(ramp(9, 9), {"op": "set_metadata", "artist": "A"}, {"op": "save", "format": "gif"})
    assert [warning.code for warning in produced.warnings] == ["metadata_not_written"]


def test_nothing_of_the_uploaded_metadata_is_saved(data: Path) -> None:
    upload = (data / "photos" / "exif_gps_tiny.jpg").read_bytes()
    for steps in (
        [{"op": "orient"}],
        [{"op": "strip_metadata"}],
        [{"op": "set_metadata", "artist": "A"}, {"op": "strip_metadata"}],
    ):
        (output,) = ran(upload, *steps).outputs
        with Image.open(io.BytesIO(output.data)) as image:
            assert not image.getexif() and "exif" not in image.info


def test_written_exif_is_read_by_others() -> None:
    for texts in (
        {"artist": "A"},
        {"artist": "four"},
        {"description": "x" * 501, "artist": "Ä", "copyright_text": "abc"},
    ):
        exif = Image.Exif()
        exif.load(exif_of(**texts))
        assert len(exif) == len(texts)
        expected = {DESCRIPTION: "description", ARTIST: "artist", COPYRIGHT: "copyright_text"}
        assert {
            expected[ExifTags.Base(tag)]: v.encode("latin-1").decode().rstrip("\0") for tag, v in exif.items()
        } == texts


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\x1b[2J", "\x7f", "x" * 501])
def test_set_metadata_refuses_control_characters_and_long_texts(text: str) -> None:
    assert faults({"op": "set_metadata", "artist": text})


def test_set_metadata_without_texts_is_a_fault() -> None:
    assert faults({"op": "set_metadata"}) == {"/steps/0": "invalid_value"}


def test_read_metadata_of_very_many_numbers_is_cut() -> None:
    exif = Image.Exif()
    for number in range(299):
        exif[50_000 + number] = tuple(range(300))
    picture = saved(ramp(9, 9), "WEBP", exif=exif.tobytes())
    (given,) = ran(picture, {"op": "read_metadata"}).data
    assert given.value["truncated"] is True
    assert sum(map(len, given.value["exif"].values())) == 10_000
