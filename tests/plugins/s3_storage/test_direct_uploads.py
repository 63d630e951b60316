"""Direct uploads into a bucket: the bytes never pass through the gate's HTTP, and what arrives is what was declared."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.media import utcnow
from mediagate_plugins.s3_storage import s3_storage

pytestmark = pytest.mark.anyio


async def test_a_browser_puts_a_picture_into_the_bucket(
    tmp_path: Path, server: Any, s3: Any, bucket: str, photo: bytes
) -> None:
    settings = Settings(data_dir=tmp_path / "data", image_processes=1, orphan_grace_s=0)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.register(s3_storage, bucket=bucket, **server.options)
    about = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
    transport = httpx.ASGITransport(gate, root_path="")
    async with (
        gate,
        httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client,
        httpx.AsyncClient(timeout=60) as browser,
    ):
        target = (await client.post("/uploads", json=about)).json()
        assert target["url"].startswith(server.url)
        assert (await client.post(target["completeUrl"])).json()["code"] == "upload_not_received"
        for body, headers in (
            (photo + b"x", target["headers"]),
            (photo, {**target["headers"], "Content-Type": "text/html"}),
        ):
            assert (await browser.put(target["url"], content=body, headers=headers)).status_code == 403
        put = await browser.put(target["url"], content=photo, headers=target["headers"])
        assert put.status_code == 200, put.text
        accepted = await client.post(target["completeUrl"])
        assert accepted.status_code == 202, accepted.text
        done = await client.get(f"{accepted.json()['statusUrl']}?wait=60")
        assert done.json()["status"] == "COMPLETE"

        # The signed URL is still good: whatever comes through it now changes nothing, and goes.
        again = await browser.put(target["url"], content=bytes(len(photo)), headers=target["headers"])
        assert again.status_code == 200
        assert (await client.post(target["completeUrl"])).json()["jobId"] == accepted.json()["jobId"]
        await gate.running.janitor.sweep_files(dry_run=False, now=utcnow() + timedelta(minutes=1))
        found = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", ())}
        media = done.json()["media"]
        record = await gate.parts.records.get_media(media["id"])
        assert record is not None
        assert found == set(record.keys)
