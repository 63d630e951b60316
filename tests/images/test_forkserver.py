"""The fork server and its processes, stopped or killed: uploads continue, and nothing waits forever."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from mediagate import MediaGate, Source
from mediagate.errors import ImageCrashed, ImageReadersBusy, ShuttingDown, UndecodableImage
from mediagate.images import ForkServer
from tests.support.forked import HARMLESS, POISONED, children, image_processes, opened, until_dead
from tests.support.mounted import client_of
from tests.support.poison import Poison, hang

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ENOUGH_S = 60
"""Longer than any of these tests takes unless it hangs."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the timeouts after which a silent process counts as dead."""
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


async def test_stopped_fork_server_is_replaced(path: Path) -> None:
    async with opened(Poison(), processes=1, server=None) as pool, asyncio.timeout(ENOUGH_S):
        server = fork_server()
        send(signal.SIGSTOP, server)
        await asyncio.to_thread(until_dead, server)
        assert (await pool.probe(path, Source())).width == 128
        assert (await pool.render(HARMLESS, Source())).verdict.model == "poison"
        assert fork_server() != server


async def test_probes_waiting_for_a_stopped_fork_server_succeed(path: Path) -> None:
    async with opened(processes=0, server=None) as pool, asyncio.timeout(ENOUGH_S):
        readers = image_processes()
        send(signal.SIGSTOP, fork_server())
        send(signal.SIGKILL, *readers)  # their parent is stopped, so it cannot report their end
        found = await asyncio.gather(*(pool.probe(path, Source()) for _ in range(4)), return_exceptions=True)
        widths = [info for info in found if not isinstance(info, ImageReadersBusy)]
        assert [getattr(info, "width", info) for info in widths] == [128] * len(widths)
        assert widths, "probes being read succeed; others may be retryable"
        assert (await pool.probe(path, Source())).width == 128


async def test_render_recovers_after_fork_server_is_stopped_or_killed(path: Path) -> None:
    async with opened(Poison(hang), processes=1, server=None) as pool, asyncio.timeout(ENOUGH_S):
        rendering = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.sleep(0.3)
        send(signal.SIGSTOP, fork_server(), *image_processes())
        with pytest.raises(ImageCrashed):
            await rendering
        assert (await pool.render(HARMLESS, Source())).variants
        send(signal.SIGKILL, fork_server())
        assert (await pool.probe(path, Source())).width == 128
        assert (await pool.render(HARMLESS, Source())).variants


async def test_pool_closes_with_a_stopped_fork_server() -> None:
    async with asyncio.timeout(ENOUGH_S), opened(processes=1, server=None):
        send(signal.SIGSTOP, fork_server())


def test_closed_fork_server_refuses_forks_without_leaking_descriptors() -> None:
    server = ForkServer()
    server.close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ShuttingDown) as refused:
        server.fork()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert refused.value.retryable


async def test_stopped_reader_is_replaced_without_failing_probes(path: Path) -> None:
    async with opened(processes=0, server=None) as pool, asyncio.timeout(ENOUGH_S):
        stopped, other = image_processes()
        send(signal.SIGSTOP, stopped)
        for _ in range(3):
            assert (await pool.probe(path, Source())).width == 128
        assert stopped not in image_processes()
        assert other in image_processes()


async def test_probe_gets_a_new_reader_if_all_readers_are_stopped(path: Path) -> None:
    async with opened(processes=0, server=None) as pool, asyncio.timeout(ENOUGH_S):
        send(signal.SIGSTOP, *image_processes())
        assert (await pool.probe(path, Source())).width == 128


async def test_probe_is_retryable_after_two_unresponsive_readers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", 0.0)
    async with opened(processes=0, server=None) as pool, asyncio.timeout(ENOUGH_S):
        with pytest.raises(ImageReadersBusy) as busy:
            await pool.probe(path, Source())
        assert busy.value.retryable


def padded(photo: Path, to: Path) -> Path:
    """Write a photo with enough fill bytes that its header takes hundredths of a second to read."""
    to.write_bytes(b"\xff\xd8" + b"\xff" * 120_000 + photo.read_bytes()[2:])
    return to


async def test_slow_header_is_refused_by_cpu_time_and_its_reader_is_replaced(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", 30)
    slow = padded(path, tmp_path / "slow.jpg")
    async with opened(processes=0, server=None) as pool, asyncio.timeout(ENOUGH_S):
        assert (await pool.probe(slow, Source())).width == 128
        readers = image_processes()
        with monkeypatch.context() as patch:
            patch.setattr("mediagate.images.pool.PROBE_CPU_S", 0.01)
            with pytest.raises(UndecodableImage, match="takes too long to decode"):
                await pool.probe(slow, Source())
        for _ in range(2):
            assert (await pool.probe(slow, Source())).width == 128
        assert len(set(readers) & set(image_processes())) == 1, "it was tried more than once"


async def test_upload_without_a_free_reader_answers_503(
    make_gate: Callable[..., MediaGate], photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.images.pool.PROBE_S", ENOUGH_S)
    monkeypatch.setattr("mediagate.images.pool.READER_WAIT_S", 0.3)
    fields = {"sourceType": "avatar", "sourceId": "u1"}
    async with client_of(make_gate(worker=False)) as client, asyncio.timeout(ENOUGH_S):
        readers = image_processes()
        send(signal.SIGSTOP, *readers)
        waiting = [
            asyncio.create_task(client.post("/upload", data=fields, files={"file": ("a.jpg", photo)})) for _ in range(4)
        ]
        for answer in islice(asyncio.as_completed(waiting), 2):
            refused = await answer
            assert (refused.status_code, refused.json()["code"]) == (503, "image_readers_busy")
            assert int(refused.headers["Retry-After"]) > 0
        send(signal.SIGCONT, *readers)
        codes = [answer.status_code for answer in await asyncio.gather(*waiting)]
        assert sorted(codes) == [202, 202, 503, 503]
