"""Several formats, their srcset, and the crop of an upload, over HTTP and from Python."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image

from mediagate import STORAGE, CropBox, IncomingUpload, Job, MediaGate, Settings, Source, VariantSpec
from mediagate.errors import ConfigError, IdempotencyKeyReused, InvalidCrop
from tests.support.forked import SharedForkServer
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "u1"}
SOURCES = {
    "avatar": Source(
        variants={
            "sm": VariantSpec(width=64, formats=("avif", "webp", "jpeg")),
            "lg": VariantSpec(width=120, formats=("avif", "webp", "jpeg")),
            "thumb": VariantSpec(width=32, height=32, fit="cover"),
            "noir": VariantSpec(width=100, format="png", steps=({"op": "look", "name": "noir"},)),
        },
        effort=0,
    )
}
RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(size: tuple[int, int] = (200, 100)) -> bytes:
    """Return a PNG whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def colours(data: bytes) -> set[tuple[int, ...]]:
    with Image.open(io.BytesIO(data)) as image:
        values = image.convert("RGB").tobytes()
    return set(zip(values[0::3], values[1::3], values[2::3], strict=True))


async def published(gate: MediaGate) -> set[str]:
    """Return the keys of all published files."""
    return {info.key for prefix in ("media/", "originals/") async for info in gate[STORAGE].list(prefix)}


async def completed(client: httpx.AsyncClient, data: bytes, **fields: str) -> dict[str, Any]:
    sent = await client.post("/upload", data=FORM | fields, files={"file": ("a.png", data)})
    assert sent.status_code == 202, sent.text
    done = await client.get(f"http://test{sent.json()['statusUrl']}?wait=60")
    assert done.status_code == 200, done.text
    media: dict[str, Any] = done.json()["media"]
    return media


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_media_lists_all_formats_and_their_srcset(make_gate: MakeGate, memory: bool) -> None:
    async with client_of(make_gate(sources=SOURCES, memory=memory)) as client:
        media = await completed(client, halves())
        assert list(media["urls"]) == ["sm", "lg", "thumb", "noir"]
        assert media["urls"]["sm"].endswith("/sm.avif")
        assert [(file["name"], file["format"]) for file in media["variants"]] == [
            ("sm", "avif"), ("sm.webp", "webp"), ("sm.jpeg", "jpeg"),
            ("lg", "avif"), ("lg.webp", "webp"), ("lg.jpeg", "jpeg"),
            ("thumb", "webp"), ("noir", "png"),
        ]  # fmt: skip
        urls = {file["name"]: file["url"] for file in media["variants"]}
        assert urls["sm.jpeg"].endswith("/sm.jpg")
        assert list(media["srcset"]) == ["avif", "webp", "jpeg"]
        assert media["srcset"]["jpeg"] == f"{urls['sm.jpeg']} 64w, {urls['lg.jpeg']} 120w"
        for file in media["variants"]:
            served = await client.get(f"http://test{file['url']}")
            assert served.headers["Content-Type"] == f"image/{file['format']}"
            with Image.open(io.BytesIO(served.content)) as image:
                assert image.size == (file["width"], file["height"])
                assert len(served.content) == file["bytes"]
        assert (await client.get(f"/media/{media['id']}")).json()["srcset"] == media["srcset"]


async def test_python_media_has_the_same_srcset(make_gate: MakeGate) -> None:
    async with make_gate(sources=SOURCES) as gate:
        status = await gate.upload(halves(), source_type="avatar", source_id="u1")
        media = (await gate.wait(status.job_id)).media
        assert media is not None
        assert media.to_json()["srcset"] == media.srcset
        assert list(media.srcset) == ["avif", "webp", "jpeg"]
        assert {file.variant for file in media.record.variants} == set(media.urls)


async def test_private_media_signs_every_format(make_gate: MakeGate) -> None:
    private = {"avatar": SOURCES["avatar"].model_copy(update={"visibility": "private"})}
    async with client_of(make_gate(sources=private)) as client:
        media = await completed(client, halves())
        for entry in ", ".join(media["srcset"].values()).split(", "):
            url, _, width = entry.partition(" ")
            assert width.endswith("w")
            assert (await client.get(f"http://test{url}")).status_code == 200
            assert (await client.get(f"http://test{url.partition('?')[0]}")).status_code == 404


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_deletion_removes_every_format(make_gate: MakeGate, memory: bool) -> None:
    gate = make_gate(sources=SOURCES, memory=memory)
    async with client_of(gate) as client:
        media = await completed(client, halves())
        assert len(await published(gate)) == 9
        assert (await client.delete(f"/media/{media['id']}")).status_code == 204
        assert await published(gate) == set()


async def test_janitor_keeps_every_format_until_its_media_expires(make_gate: MakeGate) -> None:
    expiring = {"avatar": SOURCES["avatar"].model_copy(update={"ttl": timedelta(hours=1)})}
    async with make_gate(sources=expiring, orphan_grace_s=0) as gate:
        status = await gate.upload(halves(), source_type="avatar", source_id="u1")
        media = (await gate.wait(status.job_id)).media
        assert media is not None
        await gate.runtime.janitor.sweep_files(dry_run=False)
        assert await published(gate) == set(media.record.keys)
        assert media.record.expires_at is not None
        await gate.runtime.janitor.sweep_expired(dry_run=False, now=media.record.expires_at)
        assert await published(gate) == set()


async def test_export_has_every_format(make_gate: MakeGate, tmp_path: Path) -> None:
    async with make_gate(sources=SOURCES) as gate:
        status = await gate.upload(halves(), source_type="avatar", source_id="u1", owner="ann")
        media = (await gate.wait(status.job_id)).media
        assert media is not None
        keys = set(media.record.keys)
        assert len(keys) == 9
        await gate.export(owner="ann", to=tmp_path / "ann.zip")
    with ZipFile(tmp_path / "ann.zip") as archive:
        assert keys <= set(archive.namelist())
        (job,) = [json.loads(line) for line in archive.read("jobs.jsonl").splitlines()]
    assert [file["name"] for file in job["media"]["variants"]][:3] == ["sm", "sm.webp", "sm.jpeg"]
    assert job["crop"] is None


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_upload_publishes_its_crop_alone(make_gate: MakeGate, memory: bool) -> None:
    gate = make_gate(sources=SOURCES, memory=memory)
    async with client_of(gate) as client:
        media = await completed(client, halves(), crop="0.5,0,0.5,1")
        assert (media["width"], media["height"], media["aspectRatio"]) == (100, 100, "1:1")
        original = await client.get(f"http://test{media['originalUrl']}")
        assert colours(original.content) == {BLUE}
        for url in media["urls"].values():
            served = await client.get(f"http://test{url}")
            assert all(red <= blue for red, _, blue in colours(served.content)), url


async def test_python_upload_takes_a_crop(make_gate: MakeGate) -> None:
    async with make_gate(sources=SOURCES) as gate:
        status = await gate.upload(halves(), source_type="avatar", source_id="u1", crop=(0, 0, 0.25, 1))
        assert status.job.crop == CropBox(0, 0, 0.25, 1)
        media = (await gate.wait(status.job_id)).media
        assert media is not None
        assert (media.record.width, media.record.height) == (50, 100)
        with pytest.raises(InvalidCrop):
            await gate.upload(halves(), source_type="avatar", source_id="u1", crop=(0.5, 0, 0.75, 1))


async def test_pre_upload_is_told_the_crop(make_gate: MakeGate) -> None:
    gate = make_gate(sources=SOURCES, worker=False)
    seen: list[IncomingUpload] = []

    async def look(upload: IncomingUpload) -> None:
        seen.append(upload)

    gate.add_hook("pre_upload", look)
    async with gate:
        await gate.upload(halves(), source_type="avatar", source_id="u1", crop=(0, 0, 0.25, 1))
    assert [(upload.crop, upload.info.width) for upload in seen] == [(CropBox(0, 0, 0.25, 1), 200)]


@pytest.mark.parametrize("memory", [True, False], ids=["memory", "sqlite"])
async def test_direct_upload_takes_a_crop(make_gate: MakeGate, memory: bool) -> None:
    gate, data = make_gate(sources=SOURCES, memory=memory), halves()
    async with client_of(gate) as client:
        declared = await client.post("/uploads", json={**FORM, "size": len(data), "crop": "0,0,0.5,0.5"})
        assert declared.status_code == 201, declared.text
        target = declared.json()
        sent = await client.put(f"http://test{target['url']}", content=data, headers=target["headers"])
        assert sent.status_code == 204
        done = await client.post(f"http://test{target['completeUrl']}")
        status = await gate.wait(done.json()["jobId"])
        assert status.job.crop == CropBox(0, 0, 0.5, 0.5)
        assert status.media is not None
        assert (status.media.record.width, status.media.record.height) == (100, 50)
        assert colours(await gate[STORAGE].get(status.media.record.original_key or "")) == {RED}


@pytest.mark.parametrize("restarted", [False, True])
async def test_crop_survives_a_restart_and_a_retry(
    tmp_path: Path, fork_server: SharedForkServer, restarted: bool
) -> None:
    """The row of the job alone says what is published, to whichever worker claims it."""

    def gate(*, worker: bool) -> MediaGate:
        made = MediaGate(
            sources=SOURCES,
            settings=Settings(data_dir=tmp_path, worker=worker, image_processes=1, retry_backoff_s=0),
            moderation="off",
        )
        made.fork_server = fork_server
        return made

    async with gate(worker=False) as accepting:
        job = (await accepting.upload(halves(), source_type="avatar", source_id="u1", crop=(0.5, 0, 0.5, 1))).job
    failed: list[str] = []
    working = gate(worker=True)

    async def fail_once(tried: Job) -> None:
        if not restarted and not failed:
            failed.append(tried.id)
            raise RuntimeError("once")

    working.add_hook("pre_process", fail_once)
    async with working:
        status = await working.wait(job.id)
        assert status.job.attempts == 1 + len(failed)
        assert status.media is not None
        assert (status.media.record.width, status.media.record.height) == (100, 100)
        assert colours(await working[STORAGE].get(status.media.record.original_key or "")) == {BLUE}


@pytest.mark.parametrize("crop", ["0,0,2,1", "left", "0.5,0.5,0.6,0.1", "0,0,0,0", "nan,0,1,1"])
async def test_invalid_crop_is_422(make_gate: MakeGate, crop: str) -> None:
    async with client_of(make_gate(sources=SOURCES, worker=False)) as client:
        answers = [
            await client.post("/upload", data=FORM | {"crop": crop}, files={"file": ("a.png", halves())}),
            await client.post("/uploads", json={**FORM, "size": 10, "crop": crop}),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_crop")
            assert answer.json()["detail"].startswith("crop: ")
        number = await client.post("/uploads", json={**FORM, "size": 10, "crop": 5})
        assert (number.status_code, number.json()["code"]) == (400, "invalid_parameter")


async def test_idempotency_key_covers_the_crop(make_gate: MakeGate) -> None:
    async with make_gate(sources=SOURCES, worker=False) as gate:
        options: dict[str, Any] = {"source_type": "avatar", "source_id": "u1", "idempotency_key": "one"}
        first = await gate.upload(halves(), crop=(0, 0, 0.5, 1), **options)
        again = await gate.upload(halves(), crop=(0, 0, 0.5, 1), **options)
        assert first.job_id == again.job_id
        for other in (None, (0, 0, 0.25, 1)):
            with pytest.raises(IdempotencyKeyReused):
                await gate.upload(halves(), crop=other, **options)


async def test_gate_with_invalid_steps_does_not_open(make_gate: MakeGate) -> None:
    spec = VariantSpec(width=8, steps=({"op": "look", "name": "noirr"},))
    with pytest.raises(ConfigError, match=r"sources\['avatar'\]\.variants\['sm'\]\.steps\[0\]\.name: .*did you mean"):
        async with make_gate(sources={"avatar": Source(variants={"sm": spec})}):
            pass
