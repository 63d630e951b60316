"""``Source.formats``: enforced at the header, in the image process, and for the declared type of direct uploads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate import MediaGate, Source
from mediagate.errors import ConfigError, UnsupportedType
from mediagate.images.json_shapes import Malformed
from mediagate.images.render import render
from mediagate.images.wire import check_info
from mediagate.values import ImageInfo
from tests.support.mounted import client_of

FILES = {
    "jpeg": "formats/hopper.jpg",
    "png": "formats/hopper.png",
    "webp": "formats/hopper.webp",
    "gif": "formats/hopper.gif",
    "avif": "formats/fox.avif",
    "heic": "formats/arrow.heic",
}
SOURCES = {
    "avatar": Source(),
    "photo": Source(formats=("jpeg", "png")),
    "camera": Source(formats=("heic", "jpeg", "avif")),
    "movie": Source(formats=("gif",)),
}
NAMED = {
    "photo": "send JPEG or PNG",
    "camera": "send JPEG, AVIF or HEIC",
    "movie": "send GIF",
}


@pytest.mark.anyio
async def test_upload_in_a_format_outside_source_formats_answers_415(
    make_gate: Callable[..., MediaGate], data: Path
) -> None:
    gate = make_gate(sources=SOURCES, worker=False)
    async with client_of(gate) as client:
        for source_type, source in gate.sources.items():
            for image_format, name in FILES.items():
                fields = {"sourceType": source_type, "sourceId": "user-1"}
                answer = await client.post("/upload", data=fields, files={"file": (name, (data / name).read_bytes())})
                if image_format in source.formats:
                    assert answer.status_code == 202, answer.text
                    continue
                told = answer.json()
                assert (answer.status_code, told["code"]) == (415, "unsupported_type")
                assert told["detail"].endswith(NAMED[source_type])
                assert image_format in told["detail"].lower(), "the detail names the format that was sent"
            other = await client.post("/upload", data=fields, files={"file": ("a.bmp", b"BM\x3a\0\0\0")})
            assert other.status_code == 415
            assert NAMED.get(source_type, "send JPEG, PNG, WebP, GIF, AVIF or HEIC") in other.json()["detail"]


@pytest.mark.anyio
async def test_declared_type_outside_source_formats_answers_415(make_gate: Callable[..., MediaGate]) -> None:
    gate = make_gate(sources=SOURCES, worker=False)
    async with client_of(gate) as client:
        told = {"sourceType": "photo", "sourceId": "user-1", "size": 1000}
        for content_type, status in (("image/jpeg", 201), ("image/PNG", 201), ("image/webp", 415), ("image/heif", 415)):
            answer = await client.post("/uploads", json={**told, "contentType": content_type})
            assert answer.status_code == status, answer.text
        assert answer.json()["code"] == "unsupported_type"
        assert answer.json()["detail"].endswith("use one of image/jpeg, image/png, or leave it out")
        camera = await client.post("/uploads", json={**told, "sourceType": "camera", "contentType": "image/heif"})
        assert camera.status_code == 201


@pytest.mark.parametrize("sent", FILES)
def test_render_refuses_a_format_outside_source_formats(data: Path, sent: str) -> None:
    others = tuple(name for name in FILES if name != sent)
    with pytest.raises(UnsupportedType, match=f"(?i){sent} files are not accepted here; send"):
        render((data / FILES[sent]).read_bytes(), Source.model_validate({"formats": others}), (0.5, 0.5), None)
    with pytest.raises(Malformed, match="does not accept"):
        check_info(ImageInfo(sent, 10, 10), Source.model_validate({"formats": others}))


def test_heif_general_brand_is_resolved_by_its_compatible_brands(data: Path) -> None:
    for name in ("avif", "heic"):
        file = (data / FILES[name]).read_bytes()
        general = file[:8] + b"mif1" + file[12:]
        for formats in (("avif",), ("heic",)):
            source = Source.model_validate({"formats": formats, "original": "delete"})
            if name in formats:
                assert render(general, source, (0.5, 0.5), None).info.format == name
            else:
                with pytest.raises(UnsupportedType, match=f"{name.upper()} files are not accepted here"):
                    render(general, source, (0.5, 0.5), None)


@pytest.mark.parametrize("formats", [(), ("jpg",), ("jpeg", "tiff"), "jpeg", ("JPEG",)], ids=str)
def test_source_with_unknown_formats_is_refused(formats: object) -> None:
    with pytest.raises(ConfigError, match=r"Source\.formats"):
        Source.model_validate({"formats": formats})
