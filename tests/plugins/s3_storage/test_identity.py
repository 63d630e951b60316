"""The mark of a bucket names the database of its files; each prefix has its own mark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediagate import RECORDS, MediaGate, Settings, Source
from mediagate.cli.doctor import examine
from mediagate.errors import ConfigError
from mediagate.records import MemoryRecords
from mediagate_plugins.s3_storage import s3_storage
from tests.support.forked import SHARED

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate_of(tmp_path: Path, server: Any, bucket: str) -> Callable[..., MediaGate]:
    def make(records: MemoryRecords, **options: Any) -> MediaGate:
        settings = Settings(data_dir=tmp_path / "data", worker=False, orphan_grace_s=0)
        gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
        gate.fork_server = SHARED
        gate.register(s3_storage, bucket=bucket, **server.options, **options)
        gate.decorate(RECORDS, records)
        return gate

    return make


async def test_bucket_refuses_another_database_except_under_its_own_prefix(gate_of: Any, bucket: str, s3: Any) -> None:
    own, other = MemoryRecords(), MemoryRecords()
    async with gate_of(own):
        pass
    kept = [f"media/avatar/u1/med_{n}/xs.webp" for n in range(12)]
    for key in kept:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    with pytest.raises(ConfigError, match="another database"):
        await gate_of(other).open()
    told = {finding.part: finding async for finding in examine(gate_of(other))}
    assert not told["storage"].ok
    assert "mediagate adopt" in told["storage"].text
    async with gate_of(other, prefix="staging-area/") as gate:
        assert (await gate.runtime.janitor.sweep_files(dry_run=False)).useless == 0
    async with gate_of(own) as gate:
        found = await gate.runtime.janitor.sweep_files(dry_run=False)
        assert (found.orphans, found.doubt) == ([], "12 of 12 published files have no record")
    left = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert left == {*kept, "mediagate/database.json", "staging-area/mediagate/database.json"}


async def test_bucket_without_a_mark_refuses_a_database_that_lacks_its_media(
    gate_of: Any, bucket: str, s3: Any
) -> None:
    for n in range(12):
        s3.put_object(Bucket=bucket, Key=f"media/avatar/u1/med_{n}/xs.webp", Body=b"x")
    with pytest.raises(ConfigError, match="none of the first 12 is on record"):
        await gate_of(MemoryRecords()).open()
