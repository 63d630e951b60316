"""A gate on a uvicorn and an event loop of its own, and a watch that tells which callbacks held that loop."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import MediaGate

LIMIT_S = 0.02
"""CPU time that one callback may take: others' requests wait meanwhile. A busy machine does not add to it."""


@contextmanager
def served(gate: MediaGate) -> Iterator[str]:
    """Serve a gate from a thread for the length of a block; yields the URL of its mount."""
    # With its protocol named, else asyncio leaves Nagle's algorithm on and each answer waits 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    app = Starlette(routes=[Mount("/image-pipeline", gate)], lifespan=gate.lifespan)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gate does not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/image-pipeline"
    finally:
        server.should_exit = True
        thread.join(60)
        listening.close()


@contextmanager
def loop_never_held() -> Iterator[None]:
    """Fail when a callback of any event loop takes more than ``LIMIT_S`` of CPU time while the block runs."""
    run = asyncio.events.Handle._run
    name = vars(asyncio.base_events)["_format_handle"]  # as asyncio itself names a slow callback
    held: list[str] = []

    def timed(handle: asyncio.Handle) -> None:
        started = time.thread_time()
        try:
            run(handle)
        finally:
            took = time.thread_time() - started
            if took > LIMIT_S:
                held.append(f"{took * 1000:.0f} ms: {name(handle)}")

    # What earlier tests left on the heap would be searched for garbage at the expense of whichever callback is running.
    gc.collect()
    gc.freeze()
    try:
        with mock.patch.object(asyncio.events.Handle, "_run", timed):
            yield
    finally:
        gc.unfreeze()
    assert not held, "\n".join(["the event loop was held:", *held])
