"""Log lines name the cause of an error, also inside exception groups."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.types import Message

from mediagate import STORAGE, Job, MediaGate, Rendered, plugin
from mediagate.errors import RecordsUnavailable, StorageUnavailable, known_error, members
from mediagate.observe import cause_of
from mediagate.observe.logs import LONGEST
from mediagate.storage import FilesystemStorage, MemoryStorage
from tests.support.full_disk import largest_file

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "u1"}


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def caused(cause: BaseException) -> StorageUnavailable:
    error = StorageUnavailable("cannot store staging/x")
    error.__cause__ = cause
    return error


FULL = "OSError: [Errno 28] No space left on device"
WRAPPED: list[tuple[Exception, str]] = [
    (full(), FULL),
    (ExceptionGroup("two tasks", [full()]), FULL),
    (ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("a"), full(), full()])]), f"ValueError: a; {FULL}"),
    (caused(full()), f"cannot store staging/x ({FULL})"),
    (caused(ExceptionGroup("two tasks", [full()])), f"cannot store staging/x ({FULL})"),
    (ExceptionGroup("two tasks", [caused(full())]), f"cannot store staging/x ({FULL})"),
    (caused(caused(full())), f"cannot store staging/x ({FULL})"),
    (StorageUnavailable("the disk is full"), "the disk is full"),
]


@pytest.mark.parametrize(
    ("exc", "said"),
    WRAPPED,
    ids=[
        "error",
        "group",
        "nested groups",
        "cause",
        "group as cause",
        "cause in group",
        "chained causes",
        "no cause",
    ],
)
def test_cause_of_names_each_cause_once(exc: Exception, said: str) -> None:
    assert cause_of(exc) == said


def test_cause_of_redacts_and_truncates() -> None:
    secret = caused(ConnectionError("cannot reach postgresql://user:passw0rd@db.example/x?sslpassword=passw0rd"))
    assert "passw0rd" not in cause_of(secret)
    assert len(cause_of(caused(ValueError("x" * 10_000)))) <= LONGEST + 1
    around: list[Exception] = [ValueError("a"), ValueError("b")]
    around[0].__cause__, around[1].__cause__ = around[1], around[0]
    assert cause_of(around[0]) == "ValueError: a (ValueError: b)"


def test_known_error_is_found_in_an_exception_group() -> None:
    ours = RecordsUnavailable("away")
    group = ExceptionGroup("a", [full(), ExceptionGroup("b", [ours, StorageUnavailable("full")])])
    assert known_error(group) is ours
    assert len([*members(group)]) == 3
    assert known_error(ExceptionGroup("a", [full()])) is None


class Failing(MemoryStorage):
    """A storage that writes in a task group and raises the exception that ``failing`` returns for a key."""

    def __init__(self, failing: Callable[[str], Exception | None]) -> None:
        super().__init__()
        self._failing = failing

    async def put(self, key: str, body: bytes | Path) -> None:
        async def write() -> None:
            if (exc := self._failing(key)) is not None:
                raise exc
            await super(Failing, self).put(key, body)

        async with asyncio.TaskGroup() as group:
            group.create_task(write())


@pytest.mark.parametrize(
    ("made", "answered", "said"),
    [
        (full, (500, "internal_error"), f"unhandled error: {FULL}"),
        (
            lambda: caused(full()),
            (503, "storage_unavailable"),
            f"answered 503 storage_unavailable: cannot store staging/x ({FULL})",
        ),
    ],
    ids=["a bug", "an error of ours"],
)
async def test_log_of_5xx_answer_names_the_cause(
    make_gate: MakeGate, photo: bytes, caplog: pytest.LogCaptureFixture,
    made: Callable[[], Exception], answered: tuple[int, str], said: str,
) -> None:  # fmt: skip
    gate = make_gate(memory=False, worker=False)
    gate.decorate(STORAGE, Failing(lambda key: made() if key.startswith("staging/") else None))
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    async with gate, httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
        answer = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert (answer.status_code, answer.json()["code"]) == answered
        assert "No space" not in answer.text
    assert [r.getMessage() for r in caplog.records if r.name == "mediagate.http"] == [said]


@pytest.mark.parametrize(("made", "traced"), [(full, True), (lambda: caused(full()), False)], ids=["bug", "ours"])
async def test_log_of_attempt_failed_to_publish_names_the_cause(
    make_gate: MakeGate, photo: bytes, caplog: pytest.LogCaptureFixture, made: Callable[[], Exception], traced: bool
) -> None:
    gate = make_gate(memory=False, retry_backoff_s=0.01)
    failures = [made()]
    gate.decorate(STORAGE, Failing(lambda key: failures.pop() if key.startswith("media/") and failures else None))
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(job.job_id, timeout_s=60)
    (line,) = [r for r in caplog.records if "attempt 1" in r.getMessage()]
    assert FULL in line.getMessage()
    assert bool(line.exc_info) is traced, "only an unexpected error is logged with its traceback"


async def test_log_of_attempt_on_full_disk_names_the_cause(
    make_gate: MakeGate, photo: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate = make_gate(retry_backoff_s=0.01, memory=False)
    gate.decorate(STORAGE, FilesystemStorage(tmp_path / "files"))
    limits = [largest_file(1000)]

    async def fill(job: Job, rendered: Rendered) -> None:
        if limits:
            limits[0].__enter__()

    def emptied(record: logging.LogRecord) -> bool:
        if limits and "attempt 1" in record.getMessage():
            limits.pop().__exit__(None, None, None)
        return True

    gate.add_hook("pre_store", fill)
    logging.getLogger("mediagate.worker").addFilter(emptied)
    try:
        async with gate:
            job = await gate.upload(photo, source_type="avatar", source_id="u1")
            status = await gate.wait(job.job_id, timeout_s=60)
    finally:
        logging.getLogger("mediagate.worker").removeFilter(emptied)
    assert status.status == "COMPLETE"
    (line,) = [r for r in caplog.records if "attempt 1" in r.getMessage()]
    assert "File too large" in line.getMessage()


async def test_log_of_failed_startup_names_the_cause(make_gate: MakeGate, caplog: pytest.LogCaptureFixture) -> None:
    @plugin("full_disk")
    async def full_disk(gate: MediaGate) -> None:
        raise ExceptionGroup("two tasks", [full()])

    gate = make_gate()
    gate.register(full_disk)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    await gate({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": FULL}]
    assert f"startup failed: {FULL}" in caplog.text
