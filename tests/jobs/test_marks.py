"""The mark among the files: whose they are, and whether the database is an older one."""

from __future__ import annotations

import json

import pytest

from mediagate import JobStatus
from mediagate.errors import ConfigError, StorageUnavailable
from mediagate.jobs import adopt, check_no_files, describe, recognize_files
from mediagate.jobs.file_mark import FEW, FIRST, is_set_back, mark_files
from mediagate.parts import Parts
from mediagate.records import Settlement
from mediagate.storage import MARK_KEY as KEY
from mediagate.storage import KeyPrefixes, Mark, read_mark
from mediagate.storage.mark import MAX_ID
from mediagate.testing.record_samples import a_media, claimed_job
from tests.support.bare_parts import NOW, DatedStorage, bare_parts

pytestmark = pytest.mark.anyio


async def marked(parts: Parts, mark: object) -> None:
    await parts.storage.put(KEY, json.dumps(mark).encode())


async def generation(parts: Parts) -> int:
    return (await parts.records.identity()).generation


async def own(parts: Parts) -> str:
    return (await parts.records.identity()).id


async def with_files(parts: Parts, number: int, media_id: str = "med_x") -> None:
    for n in range(number):
        await parts.storage.put(f"media/check/u1/{media_id}/{n:04}.webp", b"file")


async def test_mark_counts_the_generation_up_each_time() -> None:
    parts = bare_parts()
    assert await read_mark(parts.storage) is None
    for number in (1, 2, 3):
        await mark_files(parts)
        assert await generation(parts) == number
        assert await read_mark(parts.storage) == Mark(await own(parts), number)
    assert json.loads(await parts.storage.get("mediagate/database.json")) == {
        "database": await own(parts),
        "generation": 3,
    }


@pytest.mark.parametrize(
    "mark",
    [
        {"database": "db", "generation": -1},
        {"database": "db", "generation": 2**63},
        {"database": "db", "generation": True},
        {"database": "db", "generation": 1.0},
        {"database": "d\nb", "generation": 1},
        {"database": "d" * (MAX_ID + 1), "generation": 1},
        {"database": "db", "generation": 1, "more": 1},
        {"database": "db", "generation": 1, "prefixes": 1},
        {"database": "db", "generation": 1, "prefixes": {}},
        {"database": "db", "generation": 1, "prefixes": {**KeyPrefixes().to_json(), "more": "x"}},
        {"database": "db", "generation": 1, "prefixes": {**KeyPrefixes().to_json(), "media": 1}},
        {"database": "db", "generation": 1, "prefixes": {**KeyPrefixes().to_json(), "media": "staging"}},
        {"database": "db", "generation": 1, "prefixes": KeyPrefixes().to_json(), "more": 1},
        {"database": "db"},
    ],
)
async def test_mark_that_no_database_writes_cannot_be_read(mark: object) -> None:
    parts = bare_parts()
    await marked(parts, mark)
    with pytest.raises(ConfigError, match="is malformed"):
        await read_mark(parts.storage)


@pytest.mark.parametrize(("name", "number"), [("d" * MAX_ID, 0), ("db", 2**63 - 1)])
async def test_mark_is_read_up_to_its_limits(name: str, number: int) -> None:
    parts = bare_parts()
    await marked(parts, {"database": name, "generation": number})
    assert await read_mark(parts.storage) == Mark(name, number)


@pytest.mark.parametrize(("ahead", "older"), [(-1, False), (0, False), (1, True)])
async def test_database_is_set_back_when_the_mark_is_ahead_of_it(ahead: int, older: bool) -> None:
    parts = bare_parts()
    for _ in range(2):
        await parts.records.next_generation()
    await marked(parts, {"database": await own(parts), "generation": 2 + ahead})
    assert await is_set_back(parts) is older
    if older:
        with pytest.raises(ConfigError, match="older than the storage"):
            await describe(parts)
    else:
        assert await describe(parts) == "the files belong to this database"


async def test_mark_of_a_database_that_was_set_back_stays(caplog: pytest.LogCaptureFixture) -> None:
    parts = bare_parts()
    await marked(parts, {"database": await own(parts), "generation": 7})
    await mark_files(parts)
    assert await read_mark(parts.storage) == Mark(await own(parts), 7)
    assert await generation(parts) == 0
    assert "older than the storage" in caplog.text


async def test_mark_of_another_database_is_refused_by_both_names() -> None:
    parts = bare_parts()
    await marked(parts, {"database": "db_other", "generation": 0})
    for ask in (is_set_back, mark_files, describe, recognize_files):
        with pytest.raises(ConfigError, match=f"another database \\(db_other; this one is {await own(parts)}\\)"):
            await ask(parts)


@pytest.mark.parametrize(("number", "refused"), [(FEW, False), (FEW + 1, True)])
async def test_files_without_a_mark_are_refused_when_they_are_more_than_a_few(number: int, refused: bool) -> None:
    parts = bare_parts()
    await with_files(parts, number)
    if refused:
        with pytest.raises(ConfigError, match=f"none of the first {number} is on record in this database"):
            await is_set_back(parts)
        with pytest.raises(ConfigError, match="its name is unknown; this one is empty"):
            await check_no_files(parts)
    else:
        assert await is_set_back(parts) is False
        await check_no_files(parts)


async def test_files_without_a_mark_are_looked_at_up_to_the_two_hundredth() -> None:
    parts = bare_parts()
    await with_files(parts, FIRST, "med_a")
    job = await claimed_job(parts.records, NOW)
    await parts.records.settle(job, owner="worker", now=NOW, settlement=Settlement(JobStatus.COMPLETE, a_media(job)))
    await with_files(parts, 1, job.media_id)
    with pytest.raises(ConfigError, match="none of the first 200 is on record"):
        await is_set_back(parts)


@pytest.mark.parametrize("status", [JobStatus.COMPLETE, JobStatus.FAILED])
async def test_files_without_a_mark_are_known_by_a_job_that_completed(status: JobStatus) -> None:
    parts = bare_parts()
    job = await claimed_job(parts.records, NOW)
    await parts.records.settle(job, owner="worker", now=NOW, settlement=Settlement(status))
    await with_files(parts, FEW, "med_x")
    await with_files(parts, 1, job.media_id)
    if status is JobStatus.COMPLETE:
        assert await is_set_back(parts) is False
    else:
        with pytest.raises(ConfigError, match="is on record in this database"):
            await is_set_back(parts)


async def test_files_beside_an_empty_database_are_another_ones() -> None:
    parts = bare_parts()
    await check_no_files(parts)
    await marked(parts, {"database": "db_other", "generation": 0})
    with pytest.raises(ConfigError, match="another database \\(db_other; this one is empty\\)"):
        await check_no_files(parts)


async def test_adopt_makes_the_files_this_databases_from_beyond_their_generation_on() -> None:
    parts = bare_parts()
    assert await adopt(parts) is None
    assert await read_mark(parts.storage) == Mark(await own(parts), 1)
    await marked(parts, {"database": "db_other", "generation": 40})
    assert await adopt(parts) == Mark("db_other", 40)
    assert await read_mark(parts.storage) == Mark(await own(parts), 41)


async def test_adopt_replaces_a_mark_that_cannot_be_read() -> None:
    parts = bare_parts()
    await parts.storage.put(KEY, b"{")
    assert await adopt(parts) is None
    assert await read_mark(parts.storage) == Mark(await own(parts), 1)


class Away(DatedStorage):
    """A storage that does not answer."""

    async def get(self, key: str) -> bytes:
        raise StorageUnavailable("away")


async def test_recognize_files_leaves_an_outage_to_the_janitor() -> None:
    parts = bare_parts(storage=Away())
    await recognize_files(parts)
    with pytest.raises(StorageUnavailable):
        await mark_files(parts)
    parts = bare_parts()
    await recognize_files(parts)
    assert await read_mark(parts.storage) == Mark(await own(parts), 1)
