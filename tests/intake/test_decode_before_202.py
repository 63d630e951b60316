"""``decode_before_202``: undecodable files are refused with the upload, and a busy decoder delays nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate import RECORDS, STORAGE, MediaGate, Source
from mediagate.errors import ShuttingDown, TooManyUploads, UndecodableImage
from mediagate.images import ImagePool
from mediagate.records import get_job
from tests.support.direct import completed, declared, sent
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FIELDS = {"sourceType": "avatar", "sourceId": "user-1"}


@pytest.fixture
def damaged(data: Path) -> dict[str, bytes]:
    """Damaged files with intact headers."""
    names = ("formats/hopper.png", "formats/hopper.webp", "formats/fox.avif", "formats/arrow.heic")
    files = {name: (data / name).read_bytes() for name in names}
    return {name: file[: len(file) * 3 // 4] for name, file in files.items()} | {
        "noise.png": _with_noise((data / "formats" / "hopper.png").read_bytes())
    }


def _with_noise(png: bytes) -> bytes:
    """Damage the compressed pixels and keep lengths and chunks."""
    middle = len(png) // 2
    return png[:middle] + bytes(255 - byte for byte in png[middle : middle + 400]) + png[middle + 400 :]


async def test_decode_before_202_refuses_damage_that_headers_do_not_show(
    make_gate: MakeGate, damaged: dict[str, bytes], photo: bytes
) -> None:
    later, before = make_gate(), make_gate(worker=False, decode_before_202=True)
    late = 0
    async with client_of(later) as client, client_of(before) as asked_first:
        for name, file in damaged.items():
            refused = await asked_first.post("/upload", data=FIELDS, files={"file": (name, file)})
            assert (refused.status_code, refused.json()["code"]) == (422, "image_undecodable"), name
            assert refused.json()["retryable"] is False
            answer = await client.post("/upload", data=FIELDS, files={"file": (name, file)})
            if answer.status_code == 202:
                late += 1
                job_id = answer.json()["jobId"]
                await later.wait(job_id, timeout_s=60)
                status = await client.get(f"/status/{job_id}")
                told = status.json()
                assert (status.status_code, told["status"], told["attempts"]) == (500, "FAILED", 1)
                assert (told["code"], told["retryable"]) == ("image_undecodable", False)
        assert late, "no file shows the difference that the setting makes"
        assert not (await before.list_jobs(limit=10)).items
        assert [info async for info in before[STORAGE].list("staging/")] == []
        whole = await asked_first.post("/upload", data=FIELDS, files={"file": ("a.jpg", photo)})
        assert whole.status_code == 202
        job = await get_job(before[RECORDS], whole.json()["jobId"])
        assert job is not None
        assert (job.format, job.width, job.height) == ("jpeg", 128, 128)


async def test_direct_upload_is_decoded_on_completion(make_gate: MakeGate, photo: bytes, data: Path) -> None:
    gate = make_gate(worker=False, decode_before_202=True)
    broken = _with_noise((data / "formats" / "hopper.png").read_bytes())
    async with client_of(gate) as client:
        told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/png", "size": len(broken)}
        target = (await client.post("/uploads", json=told)).json()
        assert (await sent(client, target, broken)).status_code == 204
        refused = await completed(client, target)
        assert (refused.status_code, refused.json()["code"]) == (422, "image_undecodable")
        assert [info async for info in gate[STORAGE].list("staging/")] == []
        target = (await declared(client, photo)).json()
        assert (await sent(client, target, photo)).status_code == 204
        assert (await completed(client, target)).status_code == 202
    async with gate:
        with pytest.raises(UndecodableImage):
            await gate.upload(broken, source_type="avatar", source_id="user-1")


async def test_image_pool_probes_headers_while_all_decoders_are_busy(tmp_path: Path, photo: bytes) -> None:
    path, slow = tmp_path / "a.jpg", tmp_path / "slow"
    path.write_bytes(photo)
    os.mkfifo(slow)  # opening it blocks until there is a writer
    pool = ImagePool(processes=0, decoders=1, memory_bytes=512 << 20, timeout_s=1, moderator=None)
    await pool.open()
    try:
        stuck = asyncio.create_task(pool.check(slow, Source()))
        await asyncio.sleep(0)  # the check takes the only decoder
        with pytest.raises(TooManyUploads) as refused:
            await pool.check(path, Source())
        assert refused.value.retry_after_s is not None
        assert (await pool.probe(path, Source())).width == 128
        assert not stuck.done()
        slow.write_bytes(photo)
        assert (await stuck).width == 128
        assert (await pool.check(path, Source())).format == "jpeg"
    finally:
        os.close(os.open(slow, os.O_RDWR))  # unblocks the decoder, also after a failure
        await pool.close()
    with pytest.raises(ShuttingDown):
        await pool.check(path, Source())
