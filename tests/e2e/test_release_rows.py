"""Rows and files that release 0.1.0 wrote: this release finds their files under the same keys."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.jobs.publishing import made_files
from mediagate.values import original_key, variant_of

pytestmark = pytest.mark.anyio

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from mediagate import MediaGate, Settings, Source

async def main(folder, photo, ids):
    settings = Settings(data_dir=Path(folder), image_processes=1)
    keys = {}
    async with MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off") as gate:
        for source_id in ids:
            job = await gate.upload(Path(photo), source_type="avatar", source_id=source_id)
            media = (await gate.wait(job.job_id, timeout_s=60)).media.record
            keys[source_id] = [media.original_key, *(variant.key for variant in media.variants)]
    print(json.dumps(keys))

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
"""
"""Run by the Python of the release."""
IDS = ["user-1", "User_1", "7", "A" * 128]


async def test_files_of_the_release_keep_their_keys_and_are_deleted(
    tmp_path: Path, data: Path, release_python: Path
) -> None:
    photo = data / "formats" / "hopper.jpg"
    command = [release_python, "-c", PROGRAM, tmp_path / "data", photo, *IDS]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = partial(subprocess.run, command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    written: dict[str, list[str]] = json.loads(done.stdout)
    files = tmp_path / "data" / "files"
    settings = Settings(data_dir=tmp_path / "data", worker=False)
    async with MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off") as gate:
        for source_id in IDS:
            (media,) = (await gate.list_media("avatar", source_id)).items
            record, keys = media.record, written[source_id]
            assert [record.original_key, *(variant.key for variant in record.variants)] == keys
            assert original_key("avatar", source_id, record.id, "jpg") == keys[0]
            assert {variant_of(key.rpartition("/")[2]) for key in keys} == {"original", *media.urls}
            assert all((files / key).is_file() for key in keys)
            job = (await gate.parts.records.get_jobs([record.job_id]))[record.job_id]
            assert sorted(await made_files(job, gate.parts)) == sorted(keys), "a retry overwrites these files"
            assert (job.credits, job.source_id) == (0, source_id)
            await gate.delete_media(record.id)
        assert [path.name for path in files.rglob("*") if path.is_file()] == ["database.json"]
