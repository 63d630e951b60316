"""Real photos complete upright and without metadata; hostile files are refused and do not crash the service."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from tests.support import loopback
from tests.support.server import Server, running

DATA = Path(__file__).parents[1] / "data"
GOOD = sorted(p for folder in ("photos", "oriented", "formats") for p in (DATA / folder).iterdir())
ORIENTATION = 0x0112
BAD = sorted((DATA / "bad").iterdir())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("plain_gate:gate", tmp_path_factory.mktemp("corpus") / "data") as server:
        yield server


def fetch(service: Server, url: str) -> bytes:
    answer = loopback.get(f"http://127.0.0.1:{service.port}{url}")
    assert answer.status_code == 200
    return answer.content


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.name)
def test_photo_completes_upright_and_without_metadata(service: Server, path: Path) -> None:
    sent = service.upload(path.name, path.read_bytes())
    assert sent.status_code == 202, sent.text
    done = service.settled(sent.json()["jobId"])
    assert done.status_code == 200, done.text
    media = done.json()["media"]
    files = [fetch(service, url) for url in [*media["urls"].values(), media["originalUrl"]]]
    for file in files:
        with Image.open(io.BytesIO(file)) as image:
            assert set(image.getexif()) <= ({ORIENTATION} if file is files[-1] and image.format == "JPEG" else set())
            assert ImageOps.exif_transpose(image).width <= media["width"]
    if path.parent.name == "oriented":
        reference = Image.open(path.with_name(path.name[:-5] + "1.jpg")).convert("RGB")
        assert (media["width"], media["height"]) == reference.size
        for file in files[2:]:
            shown = ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB").resize((60, 60))
            difference = ImageChops.difference(shown, reference.resize((60, 60)))
            assert max(ImageStat.Stat(difference).mean) < 8


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.name)
def test_hostile_file_is_refused(service: Server, path: Path) -> None:
    sent = service.upload(path.name, path.read_bytes())
    if sent.status_code == 202:
        answer = service.settled(sent.json()["jobId"])
        assert (answer.status_code, answer.json()["status"]) == (500, "FAILED")
    else:
        assert 400 <= sent.status_code < 500, sent.text
        assert sent.json()["detail"]
    assert service.process is not None
    assert service.process.poll() is None


def test_service_survives_the_corpus(service: Server, photo: bytes) -> None:
    assert service.settled(service.upload("a.jpg", photo).json()["jobId"]).status_code == 200
    assert "Traceback" not in service.log.read_text()
