"""The event loop is never blocked, so that no request waits for the picture of another one."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediagate import MODERATOR, MediaGate, Source
from tests.support import loopback
from tests.support.loop_watch import loop_never_held, served
from tests.support.moderators import REJECTS, Scripted

MIB = 1024 * 1024
FORM = {"sourceType": "photo", "sourceId": "user-1"}
PICTURE = b"\x89PNG\r\n\x1a\n"
"""First bytes that pass the check of the file type."""


@pytest.fixture
def url(make_gate: Callable[..., MediaGate]) -> Iterator[str]:
    """A served gate with SQLite, files and a moderator."""
    source = Source(reject={"explicit": 0.8}, max_bytes=32 * MIB)
    gate = make_gate(sources={"photo": source}, moderation="on", memory=False, image_processes=2)
    gate.decorate(MODERATOR, Scripted())
    with served(gate) as base:
        # The first job's imports and preparations are not part of the cost of a job.
        assert settled(base, upload(base, png(200)))["status"] == "COMPLETE"
        yield base


def png(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 80), (40, 120, 200)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def twelve_megapixels(data: Path) -> bytes:
    file = io.BytesIO()
    with Image.open(data / "photos" / "photo_2725x2225.jpg") as photo:
        photo.convert("RGB").resize((4000, 3000)).save(file, "JPEG", quality=95)
    return file.getvalue()


def upload(base: str, file: bytes, **fields: str) -> str:
    answer = loopback.post(f"{base}/upload", data={**FORM, **fields}, files={"file": ("a", file)}, timeout=60)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def settled(base: str, job_id: str) -> dict[str, Any]:
    while True:
        state: dict[str, Any] = loopback.get(f"{base}/status/{job_id}?wait=60&http=200", timeout=90).json()
        if state["status"] not in ("PENDING", "PROCESSING"):
            return state


def test_event_loop_stays_free_during_12_megapixel_uploads(url: str, twelve_megapixels: bytes) -> None:
    with loop_never_held():
        jobs = [upload(url, twelve_megapixels) for _ in range(2)]
        for job in jobs:
            state = settled(url, job)
            assert state["status"] == "COMPLETE", state
        origin = url.removesuffix("/image-pipeline")
        media = state["media"]
        for file in (*media["urls"].values(), media["originalUrl"]):
            answer = loopback.get(origin + file)
            assert answer.status_code == 200 and len(answer.content) > 100


def test_event_loop_stays_free_during_a_20_mb_body_of_many_parts(url: str) -> None:
    noise = {f"field{n}": "x" * 4000 for n in range(60)}
    with loop_never_held():
        answer = loopback.post(
            f"{url}/upload", data={**FORM, **noise}, files={"file": ("a", PICTURE + b"\r\n--" * (5 * MIB))}, timeout=60
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "image_undecodable")


@pytest.mark.parametrize("piece", [b"\r", b"\r\n", b"--B", b"\r\n--", b"\r\n--B", b"\r\n--B\r\nX: y"])
def test_event_loop_stays_free_during_20_mb_of_near_boundaries(url: str, piece: bytes) -> None:
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    with loop_never_held():
        answer = loopback.post(
            f"{url}/upload",
            content=head + PICTURE + piece * (20 * MIB // len(piece)) + b"\r\n--B--\r\n",
            headers={"Content-Type": "multipart/form-data; boundary=B"},
            timeout=60,
        )
        assert answer.status_code == 400, answer.text


def test_event_loop_stays_free_during_20_mb_of_tiny_parts(url: str) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\n\r\n'
    with loop_never_held():
        answer = loopback.post(
            f"{url}/upload",
            content=part * (20 * MIB // len(part)),
            headers={"Content-Type": "multipart/form-data; boundary=B"},
            timeout=60,
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_upload")


def test_event_loop_stays_free_during_an_event_stream(url: str, twelve_megapixels: bytes) -> None:
    with loop_never_held():
        job = upload(url, twelve_megapixels)
        with loopback.stream(
            "GET", f"{url}/status/{job}", headers={"Accept": "text/event-stream"}, timeout=60
        ) as events:
            told = [json.loads(line[6:])["status"] for line in events.iter_lines() if line.startswith("data: ")]
        assert told[-1] == "COMPLETE" and len(told) > 1


def test_event_loop_stays_free_during_a_rejection(url: str) -> None:
    with loop_never_held():
        assert settled(url, upload(url, png(REJECTS)))["status"] == "REJECTED"


def test_loop_watch_names_the_blocking_function() -> None:
    async def hash_for_long() -> None:
        for _ in range(40):
            hashlib.sha256(b"x" * MIB).digest()

    with pytest.raises(AssertionError, match="hash_for_long"), loop_never_held():
        asyncio.run(hash_for_long())
