"""SIGTERM: a gate drains, passes the signal on to its host and restores the host's handler."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from mediagate import MediaGate

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


class HostSignals:
    """The handler of a host, which records its signals."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.came = asyncio.Event()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.got.append(number)
        self.came.set()


@pytest.fixture
async def host() -> AsyncIterator[HostSignals]:
    handler = HostSignals()
    before = signal.signal(signal.SIGTERM, handler)
    yield handler
    signal.signal(signal.SIGTERM, before)


class Held:
    """A route that answers once ``go`` is set."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        self.begun.set()
        await self.go.wait()
        return PlainTextResponse("done")


@asynccontextmanager
async def held_request(gate: MediaGate, held: Held) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """Keep a request in progress during the block, unless the gate answers it earlier."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
        task = asyncio.create_task(client.get("/held"))
        await asyncio.wait_for(held.begun.wait(), 30)
        try:
            yield task
        finally:
            held.go.set()
            await task


def gate_with(make_gate: MakeGate, held: Held, **settings: Any) -> MediaGate:
    async def route(request: Request) -> Response:
        return await held(request)

    gate = make_gate(worker=False, **settings)
    gate.add_route("/held", route, methods=["GET"])
    return gate


def handler() -> Any:
    return signal.getsignal(signal.SIGTERM)


async def test_sigterm_reaches_the_host_at_once_and_its_handler_is_restored(
    make_gate: MakeGate, host: HostSignals
) -> None:
    held = Held()
    async with gate_with(make_gate, held) as gate:
        assert handler() is host
        async with held_request(gate, held) as request:
            assert handler() is not host
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(host.came.wait(), 10)
            assert not request.done()
        assert (await request).text == "done"
        await given_back(host)
    assert (handler(), host.got) == (host, [signal.SIGTERM])


async def given_back(host: HostSignals) -> None:
    for _ in range(1000):
        if handler() is host:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the host has no handler any more")


async def test_close_restores_the_sigterm_handler_at_once(make_gate: MakeGate, host: HostSignals) -> None:
    held = Held()
    async with gate_with(make_gate, held) as gate:
        async with held_request(gate, held):
            pass
        assert handler() is not host
    assert handler() is host


async def test_sigterm_handler_set_after_open_is_called_and_the_gate_drains(
    make_gate: MakeGate, host: HostSignals
) -> None:
    """The server starts after the gate was opened and has answered a request."""
    held, server = Held(), HostSignals()
    async with gate_with(make_gate, held, drain_timeout_s=0.2) as gate:
        async with gate.departure.visit():
            pass
        signal.signal(signal.SIGTERM, server)
        async with held_request(gate, held) as request:
            os.kill(os.getpid(), signal.SIGTERM)
            assert (await asyncio.wait_for(request, 10)).json()["code"] == "shutting_down"
        assert (host.got, server.got) == ([], [signal.SIGTERM])


async def test_request_in_progress_answers_503_after_the_drain_timeout(make_gate: MakeGate, host: HostSignals) -> None:
    held = Held()
    async with (
        gate_with(make_gate, held, drain_timeout_s=0.2) as gate,
        held_request(gate, held) as request,
    ):
        os.kill(os.getpid(), signal.SIGTERM)
        answer = await asyncio.wait_for(request, 10)
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
            assert (await client.get("/healthz")).status_code == 200, "a gate whose host keeps running still answers"


async def test_response_in_progress_is_cut_short_after_the_drain_timeout(
    make_gate: MakeGate, host: HostSignals
) -> None:
    begun, sent = asyncio.Event(), []

    async def endless(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            begun.set()
            await asyncio.Event().wait()

        return StreamingResponse(pieces())

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    gate = make_gate(worker=False, drain_timeout_s=0.2)
    gate.add_route("/endless", endless, methods=["GET"])
    scope = {"type": "http", "method": "GET", "path": "/endless", "query_string": b"", "headers": []}
    async with gate:
        answer = asyncio.create_task(gate(scope, receive, send))
        await asyncio.wait_for(begun.wait(), 10)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(answer, 10)
    assert [message.get("body") for message in sent] == [None, b"begun"]
    assert sent[-1]["more_body"], "the response must not look complete"


async def test_lazily_opened_gate_closes_before_the_host_gets_sigterm(make_gate: MakeGate, host: HostSignals) -> None:
    held, order = Held(), []

    async def closes(gate: MediaGate) -> None:
        order.append(list(host.got))

    gate = gate_with(make_gate, held)
    gate.add_hook("on_close", closes)
    async with held_request(gate, held) as request:
        os.kill(os.getpid(), signal.SIGTERM)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
            assert (await client.get("/readyz")).json()["code"] == "shutting_down"
        assert (order, host.got) == ([], [])
        held.go.set()
        assert (await request).text == "done"
        await asyncio.wait_for(host.came.wait(), 30)
        assert (order, host.got) == ([[]], [signal.SIGTERM])
        assert handler() is host
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://test") as client:
            assert (await client.get("/readyz")).json()["code"] == "shutting_down", "the gate does not reopen"


async def test_second_sigterm_reaches_the_host_at_once(make_gate: MakeGate, host: HostSignals) -> None:
    held = Held()
    gate = gate_with(make_gate, held)
    async with held_request(gate, held):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert host.got == []
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(host.came.wait(), 10)
        held.go.set()
        host.came.clear()
        await asyncio.wait_for(host.came.wait(), 30)


async def test_lazily_opened_gates_pass_sigterm_on_after_all_have_closed(
    make_gate: MakeGate, host: HostSignals
) -> None:
    first, second, closes = Held(), Held(), asyncio.Event()

    async def on_close(gate: MediaGate) -> None:
        closes.set()

    gates = gate_with(make_gate, first), gate_with(make_gate, second)
    gates[0].add_hook("on_close", on_close)
    async with held_request(gates[0], first) as one, held_request(gates[1], second) as other:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        first.go.set()
        await one
        await asyncio.wait_for(closes.wait(), 30)
        assert host.got == []
        second.go.set()
        await other
        await asyncio.wait_for(host.came.wait(), 30)
    assert (handler(), host.got) == (host, [signal.SIGTERM])


async def test_alternating_gates_build_no_chain_of_sigterm_handlers(make_gate: MakeGate, host: HostSignals) -> None:
    """Other code saves the handler while both gates listen, and restores it after both have stopped."""
    async with make_gate(worker=False) as first, make_gate(worker=False) as second:
        for _ in range(2000):
            async with first.departure.visit(), second.departure.visit():
                saved = handler()
            first.departure.release()
            second.departure.release()
            signal.signal(signal.SIGTERM, saved)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(host.came.wait(), 10)
    assert host.got == [signal.SIGTERM]


async def test_sigterm_handler_set_during_a_request_is_kept(make_gate: MakeGate, host: HostSignals) -> None:
    held, newer = Held(), HostSignals()
    async with gate_with(make_gate, held) as gate:
        async with held_request(gate, held):
            signal.signal(signal.SIGTERM, newer)
        assert handler() is newer


@pytest.mark.parametrize("what", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
async def test_gate_sets_no_handler_for_default_or_ignored_sigterm(
    make_gate: MakeGate, host: HostSignals, what: Any
) -> None:
    held = Held()
    signal.signal(signal.SIGTERM, what)
    async with gate_with(make_gate, held) as gate, held_request(gate, held):
        assert handler() == what


async def test_gate_in_another_thread_sets_no_sigterm_handler(make_gate: MakeGate, host: HostSignals) -> None:
    seen: list[Any] = []

    async def serve() -> None:
        held = Held()
        async with gate_with(make_gate, held) as gate, held_request(gate, held):
            seen.append(handler())

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert seen == [host]


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Check that the handler of SIGINT is unchanged."""
    before = signal.getsignal(signal.SIGINT)
    yield
    assert signal.getsignal(signal.SIGINT) is before
