"""A server that fails, is slow, disconnects or restarts: bounded waits, clear errors, no partial objects."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError, SSLError

from mediagate.errors import StorageUnavailable
from mediagate.storage import ObjectInfo
from mediagate_plugins.s3_storage.connection import told
from mediagate_plugins.s3_storage.storage import S3Storage
from tests.support.fault_proxy import Exchange, Fault, FaultProxy, cut, late, reset, silence, status
from tests.support.rgw import Gateway

pytestmark = pytest.mark.anyio

KEY = "media/avatar/user-1/med_1/sm.webp"
COPIED = "staging/upl_1"
BIG = 20 * 1024 * 1024
SLACK_S = 20.0
"""How much a loaded machine may add to a bounded wait."""


@pytest.mark.parametrize("fault", [status(503), status(500), reset, late(0.5)], ids=["503", "500", "reset", "late"])
async def test_s3_storage_retries_a_transient_fault(server: Any, storage_of: Any, fault: Fault) -> None:
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url) as storage:
        await storage.put(COPIED, b"x" * 100_000)
        seen = await storage.stat(COPIED)
        assert seen is not None
        several: list[Callable[[], Awaitable[object]]] = [
            lambda: storage.copy(seen, f"{COPIED}-copy"),
            lambda: storage.put(KEY, b"x" * 100_000),
            lambda: storage.get(KEY),
            lambda: storage.stat(KEY),
            lambda: storage.delete([KEY, "media/avatar/other"]),
        ]
        for operation in several:
            proxy.faults.append(fault)
            await operation()
            assert not proxy.faults


async def test_s3_storage_reports_a_lasting_fault_as_unavailable(server: Any, storage_of: Any) -> None:
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url, attempts=2) as storage:
        await storage.put(KEY, b"before")
        for fault, told in ((status(503), r"answered 503 \(SlowDown\)"), (reset, "the request failed")):
            proxy.always = fault
            for operation in operations(storage):
                proxy.requests.clear()
                with pytest.raises(StorageUnavailable, match=told) as caught:
                    await operation()
                assert caught.value.retryable
                assert len(proxy.requests) == 2
        proxy.always = None
        assert await storage.get(KEY) == b"before"


def operations(storage: S3Storage) -> list[Callable[[], Awaitable[object]]]:
    return [
        lambda: storage.put(KEY, b"x"),
        lambda: storage.get(KEY),
        lambda: anext(storage.stream(KEY)),
        lambda: storage.copy(ObjectInfo(COPIED, 1, datetime.now(UTC), '"1"'), f"{COPIED}-copy"),
        lambda: storage.delete([KEY]),
        lambda: anext(storage.list("media/")),
    ]


async def test_s3_storage_never_returns_a_truncated_body(server: Any, storage_of: Any) -> None:
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url) as storage:
        await storage.put(KEY, b"x" * 1_000_000)
        proxy.always = cut(300_000)
        with pytest.raises(StorageUnavailable, match="the request failed"):
            await storage.get(KEY)
        came = 0
        with pytest.raises(StorageUnavailable, match="the request failed"):
            async for chunk in storage.stream(KEY):
                came += len(chunk)
        assert came < 1_000_000


async def test_s3_storage_times_out_a_silent_server_without_blocking(server: Any, storage_of: Any) -> None:
    options = {"attempts": 2, "connect_timeout_s": 1.0, "read_timeout_s": 1.0, "threads": 1}
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url, **options) as storage:
        await storage.put(KEY, b"before")
        proxy.always = silence
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        began = time.monotonic()
        # Far more calls than threads: those that wait for a thread fail in time as well.
        ended = await asyncio.gather(*(storage.get(KEY) for _ in range(40)), return_exceptions=True)
        took = time.monotonic() - began
        ticking.cancel()
        assert {type(end) for end in ended} == {StorageUnavailable}
        assert took < storage.options.deadline_s + SLACK_S
        assert ticks > 20
        proxy.always = None
        assert await storage.get(KEY) == b"before"


async def test_s3_storage_reports_a_server_that_cannot_be_reached(storage_of: Any) -> None:
    async with FaultProxy(1) as gone:
        url = gone.url
    async with storage_of(endpoint_url=url, attempts=1) as storage:
        for operation in operations(storage):
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                await operation()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (SSLError(endpoint_url="https://s3.test", error="self-signed"), "AWS_CA_BUNDLE"),
        (NoCredentialsError(), "AWS_ACCESS_KEY_ID"),
    ],
    ids=["certificate", "credentials"],
)
async def test_error_that_an_operator_must_fix_does_not_advise_to_wait(error: Any, advice: str) -> None:
    detail = told("bucket", error).detail
    assert advice in detail
    assert "in a moment" not in detail


def nth_part(wanted: int, then: Fault) -> Fault:
    """Apply a fault to the first try of one part of an upload, and pass on all else."""
    done = False

    async def fault(exchange: Exchange) -> None:
        nonlocal done
        if not done and re.search(rf"partNumber={wanted}\b".encode(), exchange.head.partition(b"\r\n")[0]):
            done = True
            await then(exchange)
        else:
            await exchange.passed_on()

    return fault


async def test_put_in_parts_survives_a_restart_of_the_gateway(
    server: Any, gateway: Gateway, storage_of: Any, tmp_path: Path
) -> None:
    body = secrets.token_bytes(BIG)
    (tmp_path / "local").write_bytes(body)
    killed = False

    async def kill_and_start(exchange: Exchange) -> None:
        nonlocal killed
        await exchange.client.read(100_000)
        await asyncio.to_thread(gateway.kill_gateway)
        await asyncio.to_thread(gateway.start_gateway)
        killed = True

    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url, read_timeout_s=120.0) as storage:
        proxy.always = nth_part(2, kill_and_start)
        await storage.put(KEY, tmp_path / "local")
        assert killed
        assert hashlib.sha256(await storage.get(KEY)).digest() == hashlib.sha256(body).digest()


async def test_put_in_parts_leaves_no_object_when_the_gateway_dies(
    server: Any, gateway: Gateway, storage_of: Any
) -> None:
    async def kill(exchange: Exchange) -> None:
        await asyncio.to_thread(gateway.kill_gateway)

    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url, attempts=2) as storage:
        proxy.always = nth_part(2, kill)
        try:
            with pytest.raises(StorageUnavailable):
                await storage.put(KEY, bytes(BIG))
            with pytest.raises(StorageUnavailable):
                await storage.stat(KEY)
        finally:
            await asyncio.to_thread(gateway.start_gateway)
        assert await storage.stat(KEY) is None
        assert [info async for info in storage.list("media/")] == []
        await storage.put(KEY, bytes(BIG))
        assert len(await storage.get(KEY)) == BIG


async def test_s3_storage_recovers_after_a_pause_of_the_gateway(gateway: Gateway, storage_of: Any) -> None:
    options = {"attempts": 2, "connect_timeout_s": 1.0, "read_timeout_s": 1.0}
    async with storage_of(read_timeout_s=60.0) as patient:
        await patient.put(KEY, b"before")
        async with storage_of(**options) as storage:
            began = time.monotonic()
            with gateway.paused():
                ended = await asyncio.gather(*(ask() for ask in operations(storage)), return_exceptions=True)
            assert {type(end) for end in ended} == {StorageUnavailable}
            assert time.monotonic() - began < storage.options.deadline_s + SLACK_S
        # Another key: the paused gateway may only now execute requests for the first one.
        other = "media/avatar/user-1/med_2/sm.webp"
        await patient.put(other, b"after")
        assert await patient.get(other) == b"after"


async def test_close_waits_for_requests_in_flight(server: Any, storage_of: Any) -> None:
    async with FaultProxy(server.port) as proxy:
        async with storage_of(endpoint_url=proxy.url) as storage:
            proxy.always = late(0.5)
            put = asyncio.create_task(storage.put(KEY, b"x"))
            async with asyncio.timeout(30):
                await proxy.asked.wait()
        await put


async def test_cancelled_put_has_ended_before_it_raises(server: Any, storage_of: Any) -> None:
    async with FaultProxy(server.port) as proxy, storage_of(endpoint_url=proxy.url) as storage:
        proxy.always = late(0.5)
        put = asyncio.create_task(storage.put(KEY, b"x"))
        async with asyncio.timeout(30):
            await proxy.asked.wait()
        put.cancel()
        with pytest.raises(asyncio.CancelledError):
            await put
        proxy.always = None
        assert await storage.stat(KEY) is not None
