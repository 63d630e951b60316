"""Image processes and their fork server that are stopped or killed: uploads go on, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate import MediaGate, Source
from mediagate.errors import ImageCrashed, ImageReadersBusy, ShuttingDown, UndecodableImage
from mediagate.images import ForkServer
from tests.support.forked import HARMLESS, POISONED, children, image_processes, opened, until_dead
from tests.support.mounted import client_of
from tests.support.poison import Poison, hang

pytestmark = pytest.mark.anyio

ENOUGH_S = 60
"""Longer than anything here takes that comes to an end at all."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what gives no sign of life be taken for dead sooner."""
    monkeypatch.setattr("mediagate.images.pulse.PAUSE_S", 0.1)
    monkeypatch.setattr("mediagate.images.pulse.ANSWER_S", 2.0)
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", 1.0)


@pytest.fixture
def path(data: Path) -> Path:
    return data / "formats" / "hopper.jpg"


def send(what: signal.Signals, *processes: int) -> None:
    for process in processes:
        os.kill(process, what)


def fork_server() -> int:
    (server,) = (process for process in children(os.getpid()) if children(process))
    return server


async def test_a_fork_server_that_is_stopped_is_replaced(path: Path) -> None:
    async with opened(Poison(), processes=1) as pool, asyncio.timeout(ENOUGH_S):
        server = fork_server()
        send(signal.SIGSTOP, server)
        await asyncio.to_thread(until_dead, server)
        assert (await pool.probe(path, Source())).width == 128
        assert (await pool.render(HARMLESS, Source())).verdict.model == "poison"
        assert fork_server() != server


async def test_uploads_that_wait_for_a_stopped_fork_server_succeed(path: Path) -> None:
    async with opened(processes=0) as pool, asyncio.timeout(ENOUGH_S):
        readers = image_processes()
        send(signal.SIGSTOP, fork_server())
        send(signal.SIGKILL, *readers)  # whose end its parent cannot tell
        found = await asyncio.gather(*(pool.probe(path, Source()) for _ in range(4)), return_exceptions=True)
        widths = [info for info in found if not isinstance(info, ImageReadersBusy)]
        assert [getattr(info, "width", info) for info in widths] == [128] * len(widths)
        assert widths, "those that were at it succeed; others may be asked to come again"
        assert (await pool.probe(path, Source())).width == 128


async def test_a_picture_outlives_its_fork_server(path: Path) -> None:
    async with opened(Poison(hang), processes=1) as pool, asyncio.timeout(ENOUGH_S):
        rendering = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.sleep(0.3)
        send(signal.SIGSTOP, fork_server(), *image_processes())
        with pytest.raises(ImageCrashed):
            await rendering
        assert (await pool.render(HARMLESS, Source())).variants
        send(signal.SIGKILL, fork_server())
        assert (await pool.probe(path, Source())).width == 128
        assert (await pool.render(HARMLESS, Source())).variants


async def test_a_pool_with_a_stopped_fork_server_can_be_closed() -> None:
    async with asyncio.timeout(ENOUGH_S), opened(processes=1):
        send(signal.SIGSTOP, fork_server())


def test_a_closed_fork_server_keeps_no_descriptors_of_a_fork_that_is_refused() -> None:
    server = ForkServer()
    server.close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ShuttingDown) as refused:
        server.fork()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert refused.value.retryable


async def test_a_stopped_reader_costs_no_upload(path: Path) -> None:
    async with opened(processes=0) as pool, asyncio.timeout(ENOUGH_S):
        stopped, other = image_processes()
        send(signal.SIGSTOP, stopped)
        for _ in range(3):
            assert (await pool.probe(path, Source())).width == 128
        assert stopped not in image_processes()
        assert other in image_processes()


async def test_an_upload_that_finds_all_readers_stopped_is_read_by_a_new_one(path: Path) -> None:
    async with opened(processes=0) as pool, asyncio.timeout(ENOUGH_S):
        send(signal.SIGSTOP, *image_processes())
        assert (await pool.probe(path, Source())).width == 128


async def test_an_upload_whose_reader_is_stopped_twice_may_come_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", 0.0)
    async with opened(processes=0) as pool, asyncio.timeout(ENOUGH_S):
        with pytest.raises(ImageReadersBusy) as busy:
            await pool.probe(path, Source())
        assert busy.value.retryable


def padded(photo: Path, to: Path) -> Path:
    """Write a photo with so many fill bytes that its header takes some hundredths of a second."""
    to.write_bytes(b"\xff\xd8" + b"\xff" * 120_000 + photo.read_bytes()[2:])
    return to


async def test_a_slow_header_is_refused_by_its_cpu_time_and_its_reader_replaced(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", 30)
    slow = padded(path, tmp_path / "slow.jpg")
    async with opened(processes=0) as pool, asyncio.timeout(ENOUGH_S):
        assert (await pool.probe(slow, Source())).width == 128
        readers = image_processes()
        with monkeypatch.context() as patch:
            patch.setattr("mediagate.images.pool.PROBE_CPU_S", 0.01)
            with pytest.raises(UndecodableImage, match="takes too long to decode"):
                await pool.probe(slow, Source())
        for _ in range(2):
            assert (await pool.probe(slow, Source())).width == 128
        assert len(set(readers) & set(image_processes())) == 1, "it was tried once"


async def test_an_upload_that_no_reader_comes_to_is_answered_503(
    make_gate: Callable[..., MediaGate], photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", 5.0)
    monkeypatch.setattr("mediagate.images.pool.READER_WAIT_S", 0.3)
    fields = {"sourceType": "avatar", "sourceId": "u1"}
    async with client_of(make_gate(worker=False)) as client, asyncio.timeout(ENOUGH_S):
        readers = image_processes()
        send(signal.SIGSTOP, *readers)
        waiting = [
            asyncio.create_task(client.post("/upload", data=fields, files={"file": ("a.jpg", photo)})) for _ in range(4)
        ]
        first, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        (refused, *_) = (answer.result() for answer in first)
        assert (refused.status_code, refused.json()["code"]) == (503, "image_readers_busy")
        assert int(refused.headers["Retry-After"]) > 0
        send(signal.SIGCONT, *readers)
        codes = [answer.status_code for answer in await asyncio.gather(*waiting)]
        assert sorted(codes) == [202, 202, 503, 503]
