"""Key prefixes: settings that name the kinds of files in a storage, whatever their keys are on record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mediagate import STORAGE, MediaGate, Settings, Source
from mediagate.errors import ConfigError
from mediagate.jobs import adopt
from mediagate.storage import FilesystemStorage, KeyPrefixes, MemoryStorage
from mediagate.testing import check_storage
from mediagate.values import SERVED, STAGING
from tests.support.forked import SHARED
from tests.support.mounted import client_of
from tests.support.pipelines import SMALL, WORK, runs_pipelines

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
OTHERS = {"staging_prefix": "q/in", "media_prefix": "img", "originals_prefix": "q/full", "outputs_prefix": "Made"}
USED = KeyPrefixes("q/in", "img", "q/full", "Made")
SOURCES = {"avatar": Source(), "work": WORK}


def folders_of(gate: MediaGate) -> set[str]:
    """Return the first two segments of all files."""
    root = gate.settings.data_dir / "files"
    found = [path.relative_to(root).parts for path in root.rglob("*") if path.is_file()]
    return {"/".join(parts[:2]) for parts in found}


async def test_storage_with_prefixes_keeps_all_promises(tmp_path: Path) -> None:
    await check_storage(FilesystemStorage(tmp_path, key_prefixes=USED))


async def test_files_are_under_their_prefixes_and_keys_and_urls_are_not(make_gate: MakeGate, photo: bytes) -> None:
    gate = runs_pipelines(make_gate(sources=SOURCES, memory=False, max_attempts=1, **OTHERS))
    async with client_of(gate) as client:
        upload = await gate.upload(photo, source_type="avatar", source_id="u")
        media = (await gate.wait(upload.job_id, timeout_s=60)).media
        steps = await gate.pipeline(photo, steps=SMALL, source="work")
        made = await gate.wait(steps.job_id, timeout_s=60)
        assert media is not None
        # A quarantined file is deleted after the end of its job.
        assert folders_of(gate) - {"q/in"} == {"img/avatar", "q/full", "Made/work", "mediagate/database.json"}
        assert all(variant.key.startswith("media/avatar/u/") for variant in media.record.variants)
        for url in (*media.urls.values(), media.original_url, *made.output_urls.values()):
            assert (await client.get(str(url))).status_code == 200
        assert (await client.get("/img/avatar")).status_code == 404
        keys = {info.key for root in SERVED async for info in gate.parts.storage.list(root)}
        assert keys == {*media.record.keys, *(output.key for output in made.outputs)}
        await gate.delete_media(media.id)
        await gate.delete_job(made.job_id)
    assert folders_of(gate) == {"mediagate/database.json"}


async def test_quarantine_is_under_its_prefix(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False, **OTHERS)
    async with gate:
        await gate.upload(photo, source_type="avatar", source_id="u")
        assert folders_of(gate) == {"q/in", "mediagate/database.json"}
        assert len([info async for info in gate.parts.storage.list(STAGING)]) == 1


async def test_public_urls_have_the_prefix(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path, public_url="https://cdn.example.com", key_prefixes=USED)
    assert storage.url("media/avatar/u/m/sm.webp") == "https://cdn.example.com/img/avatar/u/m/sm.webp"
    assert storage.url("originals/avatar/u/m/original.jpg") == "https://cdn.example.com/q/full/avatar/u/m/original.jpg"
    assert storage.url("staging/job_1") is None
    assert storage.url("outputs/work/u/m/0-a.webp") is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"media_prefix": "staging"}, "the prefixes of staging (staging) and media (staging) overlap"),
        ({"media_prefix": "Staging/media"}, "the prefixes of staging (staging) and media (Staging/media) overlap"),
        ({"originals_prefix": "media"}, "the prefixes of media (media) and originals (media) overlap"),
        ({"outputs_prefix": "mediagate/x"}, "the prefixes of outputs (mediagate/x) and mediagate (mediagate) overlap"),
        ({"media_prefix": ""}, "MEDIAGATE_MEDIA_PREFIX: Value error, use segments of"),
        ({"media_prefix": "/media"}, "MEDIAGATE_MEDIA_PREFIX: "),
        ({"media_prefix": "media/"}, "MEDIAGATE_MEDIA_PREFIX: "),
        ({"media_prefix": ".tmp"}, "MEDIAGATE_MEDIA_PREFIX: "),
        ({"media_prefix": "a/../b"}, "MEDIAGATE_MEDIA_PREFIX: "),
        ({"media_prefix": "ä"}, "MEDIAGATE_MEDIA_PREFIX: "),
        ({"media_prefix": "x" * 129}, "MEDIAGATE_MEDIA_PREFIX: "),
    ],
)
def test_prefixes_that_overlap_or_are_no_keys_are_refused(values: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings(**values)
    assert problem in refused.value.detail


def test_prefixes_may_be_exchanged_and_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAGATE_MEDIA_PREFIX", "originals")
    monkeypatch.setenv("MEDIAGATE_ORIGINALS_PREFIX", "media")
    prefixes = Settings().key_prefixes
    assert prefixes.name_of("media/a") == "originals/a"
    assert prefixes.name_of("originals/") == "media/"
    assert prefixes.name_of("mediagate/database.json") == "mediagate/database.json"


@asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[MediaGate]:
    gate = MediaGate(
        sources={"avatar": Source()}, settings=Settings(data_dir=folder, worker=False, **settings), moderation="off"
    )
    gate.fork_server = SHARED
    async with gate:
        yield gate


@pytest.mark.parametrize("first", [{}, OTHERS], ids=["default first", "others first"])
async def test_gate_refuses_files_with_other_prefixes_until_they_are_adopted(
    tmp_path: Path, first: dict[str, str]
) -> None:
    second = {} if first else OTHERS
    async with opened(tmp_path, **first):
        pass
    with pytest.raises(ConfigError, match=r"set staging_prefix, media_prefix, .* or move the files first"):
        async with opened(tmp_path, **second):
            pass
    async with opened(tmp_path, **first) as gate:
        marked = json.loads((tmp_path / "files" / "mediagate" / "database.json").read_text())
        assert marked.get("prefixes", KeyPrefixes().to_json()) == gate.settings.key_prefixes.to_json()
        assert ("prefixes" in marked) is bool(first), "release 0.1.0 refuses a mark that says more than it knows"
    other = MediaGate(
        sources={"avatar": Source()}, settings=Settings(data_dir=tmp_path, worker=False, **second), moderation="off"
    )
    async with other.assembled() as parts:
        await parts.records.open()
        await adopt(parts)
        await parts.records.close()
    async with opened(tmp_path, **second):
        pass


async def test_storage_that_knows_no_prefixes_is_refused_with_them(tmp_path: Path) -> None:
    gate = MediaGate(sources={"avatar": Source()}, settings=Settings(data_dir=tmp_path, **OTHERS), moderation="off")
    gate.fork_server = SHARED
    gate.decorate(STORAGE, MemoryStorage())
    with pytest.raises(ConfigError, match=r"^staging_prefix, media_prefix, .*: this storage uses staging=staging"):
        await gate.open()
