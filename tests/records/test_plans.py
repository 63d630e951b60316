"""PostgreSQL answers each query on a million jobs with an index, reading few rows.

The plans are those of Prisma's statements as they ran: auto_explain writes them to the server's log.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from mediagate.records import PrismaRecords, Settlement, get_job, get_state
from mediagate.records.migration import migrate
from mediagate.testing.record_samples import LEASE, a_job, a_media
from mediagate.values import JobStatus, Stage
from tests.support.postgres_cluster import Cluster, cluster

pytestmark = pytest.mark.anyio

JOBS = 1_000_000
WAITING = 50_000
BACKED_OFF = 500
"""The first waiting jobs are backed off."""
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FILL = f"""
INSERT INTO mediagate_job (
    id, status, stage, "sourceType", "sourceId", "mediaId", "stagingKey", filename, format, bytes, sha256, width,
    height, "focalX", "focalY", attempts, "attemptsLeft", "maxAttempts", "leaseOwner", "leaseUntil", "availableAt",
    "createdAt", "startedAt", "finishedAt", "notifiedAt", retryable, timings, warnings,
    day, "keyId", "ownerId", priority, turn
)
SELECT
    'job_' || lpad(n::text, 9, '0'),
    CASE WHEN n > {JOBS - WAITING} THEN 'PENDING' WHEN n > {JOBS - WAITING} - 300 THEN 'PROCESSING'
         WHEN n % 50 = 0 THEN 'REJECTED' ELSE 'COMPLETE' END,
    'queued', CASE n % 3 WHEN 0 THEN 'avatar' ELSE 'post' END, 'user' || n % 5000, 'med_' || lpad(n::text, 9, '0'),
    'staging/job_' || n, 'a.jpg', 'jpeg', 12345, repeat('ab', 32), 640, 480, 0.5, 0.5,
    CASE WHEN n > {JOBS - WAITING} THEN 0 ELSE 1 END,
    CASE WHEN n % 10000 = 0 THEN 0 ELSE 2 END, 3,
    CASE WHEN n BETWEEN {JOBS - WAITING} - 299 AND {JOBS - WAITING} THEN 'other' END,
    CASE WHEN n BETWEEN {JOBS - WAITING} - 299 AND {JOBS - WAITING} - 200 THEN $1::timestamp - interval '1 minute'
         WHEN n BETWEEN {JOBS - WAITING} - 199 AND {JOBS - WAITING} THEN $1::timestamp + interval '1 minute' END,
    $1::timestamp + CASE WHEN n BETWEEN {JOBS - WAITING} + 1 AND {JOBS - WAITING} + {BACKED_OFF}
         THEN interval '1 minute'
         ELSE - interval '1 second' * ({JOBS} - n) END,
    $1::timestamp - interval '1 second' * ({JOBS} - n),
    $1::timestamp, CASE WHEN n <= {JOBS - WAITING} - 300 THEN $1::timestamp - interval '1 second' * ({JOBS} - n) END,
    CASE WHEN n <= {JOBS - WAITING} - 300 AND n % 40000 <> 1 THEN $1::timestamp END, false, '{{}}', '[]',
    to_char($1::timestamp - interval '1 second' * ({JOBS} - n), 'YYYY-MM-DD'), 'key' || n % 100,
    CASE WHEN n > {JOBS} / 2 THEN 'owner' || n % 7 END, n % 3 - 1, n
FROM generate_series(1, {JOBS}) AS n
"""
MEDIA = """
INSERT INTO mediagate_media (
    id, "jobId", "sourceType", "sourceId", format, width, height, bytes, "aspectRatio", blurhash, "dominantColor",
    "hasAlpha", frames, "focalX", "focalY", removed, "createdAt"
)
SELECT "mediaId", id, "sourceType", "sourceId", 'jpeg', 640, 480, 1, '4:3', 'x', '#aabbcc', false, 1, 0.5, 0.5, '[]',
    "createdAt"
FROM mediagate_job WHERE status = 'COMPLETE' AND id < 'job_000200000'
"""
VARIANTS = """
INSERT INTO mediagate_variant ("mediaId", name, position, key, format, width, height, bytes)
SELECT id, 'v' || n, n, 'media/x', 'webp', 64, 64, 100 FROM mediagate_media, generate_series(1, 2) AS n
WHERE id < 'med_000050000'
"""
OUTPUTS = """
INSERT INTO mediagate_output ("jobId", position, name, input, filename, key, format, width, height, frames, bytes)
SELECT id, 0, 'output', 'input0', 'x.webp', 'outputs/x', 'webp', 64, 64, 1, 100
FROM mediagate_job WHERE id > 'job_000950000'
"""
KEYS = """
INSERT INTO mediagate_idempotency_key (key, "jobId", "expiresAt")
SELECT 'key' || n, 'job_' || lpad(n::text, 9, '0'), $1::timestamp + interval '1 second' * (n - 100)
FROM generate_series(1, 100000) AS n
"""
UPLOADS = """
INSERT INTO mediagate_upload (
    id, "sourceType", "sourceId", "contentType", bytes, filename, "focalX", "focalY", "ownerId", "createdAt",
    "expiresAt"
)
SELECT 'upl_' || n, 'post', 'user1', 'image/jpeg', 1, '', 0.5, 0.5, 'owner' || n % 1000, $1, $1
FROM generate_series(1, 100000) AS n
"""
EVENTS = """
INSERT INTO mediagate_event (id, type, "jobId", data, "createdAt", "passedOnAt")
SELECT 'evt_' || n, 'job.completed', 'job_' || lpad((n * 3)::text, 9, '0'), '{}', $1, $1
FROM generate_series(1, 300000) AS n
"""
TABLE_INDEXES = """
SELECT indexdef, indexname FROM pg_indexes
WHERE tablename IN ('mediagate_job', 'mediagate_media')
AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster(
        **{
            "shared_preload_libraries": "auto_explain",
            "auto_explain.log_min_duration": "-1",
            "auto_explain.log_analyze": "on",
            "auto_explain.log_timing": "off",
            "auto_explain.log_format": "json",
            "log_line_prefix": "",
            "autovacuum": "off",
            "maintenance_work_mem": "256MB",
            "shared_buffers": "256MB",
            "wal_level": "minimal",
            "max_wal_senders": "0",
        }
    ) as server:
        yield server


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def million(server: Cluster) -> str:
    """The URL of a database with a million jobs and logged plans."""
    await migrate(server.url)
    connection = await asyncpg.connect(server.url)
    try:
        indexes = await connection.fetch(TABLE_INDEXES)
        # Filling before indexing is several times faster.
        await connection.execute("; ".join(f'DROP INDEX "{index["indexname"]}"' for index in indexes))
        await connection.execute("SET session_replication_role = replica")
        moment = NOW.replace(tzinfo=None)
        await connection.execute(FILL, moment)
        await connection.execute("; ".join(index["indexdef"] for index in indexes))
        await connection.execute(MEDIA)
        await connection.execute(OUTPUTS)
        await connection.execute(VARIANTS)
        for statement in (KEYS, UPLOADS, EVENTS):
            await connection.execute(statement, moment)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("ALTER DATABASE postgres SET auto_explain.log_min_duration = 0")
    finally:
        await connection.close()
    return server.url


@pytest.fixture
async def records(million: str) -> AsyncIterator[PrismaRecords]:
    records = PrismaRecords(million)
    await records.open()
    yield records
    await records.close()


def plans_in(log: str) -> list[dict[str, Any]]:
    """Return the plans that auto_explain wrote: JSON, each line indented by a tab."""
    found = re.findall(r"^LOG:  duration: .* plan:\n((?:\t.*\n)+)", log, re.MULTILINE)
    return [json.loads(text.replace("\n\t", "\n")) for text in found]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def rows_touched(plan: dict[str, Any]) -> float:
    """Return how many rows and index entries were read."""
    kinds = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    scans = [node for node in nodes(plan) if "Scan" in node["Node Type"] and node["Node Type"] != "CTE Scan"]
    return float(sum(sum(node.get(kind, 0) for kind in kinds) * node["Actual Loops"] for node in scans))


Question = Callable[[PrismaRecords], Awaitable[object]]
DAY_S = 24 * 3600
DAY = NOW.date() - timedelta(days=1)
"""A job each second."""
MEDIA_IDS = [f"med_{n:09}" for n in range(1000, 1200)]
JOB_IDS = [f"job_{n:09}" for n in range(1000, 1200)]
ERASED = [f"job_{n:09}" for n in range(700_001, 701_401, 14)]
"""A hundred jobs of one owner that are complete or rejected, without media."""
FREE, HELD, ENDING = f"job_{JOBS:09}", f"job_{JOBS - WAITING - 50:09}", f"job_{JOBS - WAITING - 51:09}"


async def page_deep_inside(records: PrismaRecords) -> None:
    cursor = f"{int((NOW - timedelta(seconds=900_000)).timestamp() * 1000)}.med_1"
    page = await records.list_media("post", None, limit=20, cursor=cursor)
    assert len(page.items) == 20


async def settle(records: PrismaRecords) -> None:
    job = await get_job(records, ENDING)
    assert job is not None
    assert await records.settle(job, owner="other", now=NOW, settlement=Settlement(JobStatus.COMPLETE, a_media(job)))


async def erase(records: PrismaRecords) -> None:
    """Erase a batch of jobs that ended."""
    owner = (await records.get_jobs(ERASED))[ERASED[0]].owner_id
    assert owner is not None
    assert await records.erase_jobs(owner, ERASED) == len(ERASED) == 100


async def create_job(records: PrismaRecords) -> None:
    """Reserve a key, and bind it."""
    await records.reserve_key("mine", now=NOW, expires_at=NOW + LEASE)
    assert await records.create_job(a_job(NOW), key="mine", fingerprint="f", key_expires_at=NOW + LEASE)


ENDED_BADLY = (JobStatus.REJECTED, JobStatus.FAILED, JobStatus.CANCELLED)
QUESTIONS: dict[str, tuple[Question, int]] = {
    # Reads jobs that wait for another attempt; on PostgreSQL ``claim_oldest`` takes its place, which does not.
    "claimable": (lambda r: r.claimable(now=NOW, limit=9), 210),
    "claim_oldest": (lambda r: r.claim_oldest(owner="w", now=NOW, lease_until=NOW + LEASE, limit=9), 80),
    "claim": (lambda r: r.claim(FREE, owner="w", now=NOW, lease_until=NOW + LEASE), 10),
    "advance": (lambda r: r.advance(HELD, owner="other", lease_until=NOW + LEASE, stage=Stage.PUBLISH), 10),
    "settle": (settle, 20),
    "create_job": (create_job, 10),
    "fail_exhausted": (lambda r: r.fail_exhausted(now=NOW, limit=200), 250),
    "unnotified": (lambda r: r.unnotified(before=NOW - LEASE, limit=200), 50),
    "list_jobs, the newest of all": (lambda r: r.list_jobs(limit=1), 10),
    # The rows before the page, and a count of those that match.
    "list_jobs of an owner by offset": (lambda r: r.list_jobs(owner_id="owner3", limit=20, offset=1000), 80_000),
    "list_jobs of a source by offset": (
        lambda r: r.list_jobs(source_type="post", source_id="user77", limit=20, offset=100),
        500,
    ),
    "list_jobs in a state by offset": (lambda r: r.list_jobs(status=JobStatus.REJECTED, limit=20, offset=0), 22_000),
    # One in 70 jobs: the newest until the page is full, and all of the owner and all in these states to count.
    "list_jobs of an owner in several states by offset": (
        lambda r: r.list_jobs(owner_id="owner3", status=ENDED_BADLY, limit=20, offset=0),
        160_000,
    ),
    "list_jobs in several states by offset": (lambda r: r.list_jobs(status=ENDED_BADLY, limit=20, offset=0), 72_000),
    "uploads_of": (lambda r: r.uploads_of("owner3", limit=100, after="upl_5"), 210),
    "erase_jobs": (erase, 100 * 8),
    "oldest_waiting": (lambda r: r.oldest_waiting(), 10),
    "queue_depth": (lambda r: r.queue_depth(), WAITING + 500),
    "usage": (lambda r: r.usage(owner_id=None, first=DAY, last=DAY), 2 * (2 * DAY_S + 500)),
    "usage of an owner": (lambda r: r.usage(owner_id="ann", first=DAY, last=DAY), 20),
    "check": (lambda r: r.check(), 10),
    "get_state": (lambda r: get_state(r, "job_000001001"), 10),
    "changed": (
        lambda r: r.changed({**dict.fromkeys(JOB_IDS, (JobStatus.PENDING, Stage.QUEUED)), FREE: None}),
        2 * (201 + 200 + 400),
    ),
    "get_jobs": (lambda r: r.get_jobs(JOB_IDS), 200),
    "jobs_of_media": (lambda r: r.jobs_of_media(MEDIA_IDS), 400),
    "list_media of a type": (lambda r: r.list_media("post", None, limit=20), 70),
    "list_media of an owner": (lambda r: r.list_media("post", "user77", limit=20), 70),
    "list_media, a page deep inside": (page_deep_inside, 80),
    "list_media by offset": (lambda r: r.list_media("post", "user77", limit=20, offset=10), 200),
    "forget": (lambda r: r.forget(now=NOW), 200),
    "reserve_key": (lambda r: r.reserve_key("key50000", now=NOW, expires_at=NOW + LEASE), 10),
    "delete_media": (lambda r: r.delete_media("med_000001003"), 20),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_query_uses_an_index_and_reads_few_rows(name: str, server: Cluster, records: PrismaRecords) -> None:
    ask, most = QUESTIONS[name]
    before = len(server.log.read_text())
    assert await ask(records) is not False
    plans = [plan for plan in plans_in(server.log.read_text()[before:]) if "mediagate_" in plan["Query Text"]]
    assert plans, "the statements must be in the server's log"
    for plan in plans:
        scanned = [node for node in nodes(plan["Plan"]) if node["Node Type"] in ("Seq Scan", "Parallel Seq Scan")]
        # ``mediagate_turn`` has one row per share with waiting jobs, and ``forget`` reads each.
        whole = {node["Relation Name"] for node in scanned} - {"mediagate_turn"}
        assert not whole, f"{plan['Query Text']} reads all of {whole}"
    touched = sum(rows_touched(plan["Plan"]) for plan in plans)
    assert touched <= most, "\n".join(f"{rows_touched(plan['Plan'])}: {json.dumps(plan, indent=1)}" for plan in plans)
