"""The Celery app of a gate, and how Celery's own worker, which is synchronous, reaches the gate, which is not."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.signals import worker_init, worker_shutdown

from mediagate.errors import MediagateError, ShuttingDown

if TYPE_CHECKING:
    from mediagate import MediaGate

TASK = "mediagate.attempt"
CONNECT_S = 2.0
POOLS = ("celery.concurrency.thread", "celery.concurrency.solo")
"""Pools whose tasks run in the worker's own process, where the gate is open."""


class Engine:
    """A Celery app whose task is one attempt at a gate's job, and whose workers open the gate."""

    def __init__(self, gate: MediaGate, broker: str, queue: str) -> None:
        self.queue = queue
        self.brings = False
        """Whether Celery's own worker runs in this process and brings the jobs."""
        self.app = Celery("mediagate", broker=broker, set_as_current=False)
        self.app.conf.update(
            task_default_queue=queue,
            task_ignore_result=True,
            # A message is kept until its attempt has ended, and a worker holds no more than it works on.
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            worker_prefetch_multiplier=1,
            # Its mailbox is one node name's alone: a worker that is started again at once could not have it.
            worker_enable_remote_control=False,
            worker_pool="threads",
            worker_concurrency=gate.jobs_at_once,
            broker_connection_timeout=CONNECT_S,
            broker_connection_retry_on_startup=True,
            broker_transport_options={"confirm_publish": True},
        )
        self._gate = GateThread(gate)
        self.app.task(self._gate.work, name=TASK)
        worker_init.connect(self._begin, weak=False)
        worker_shutdown.connect(self._end, weak=False)

    def _begin(self, sender: Any, **_: Any) -> None:
        """Open the gate before the worker takes anything; what keeps it from opening ends the worker."""
        if sender.app is not self.app:
            return
        if getattr(sender.pool_cls, "__module__", None) not in POOLS:
            raise SystemExit("mediagate: a gate is open in one process: use --pool=threads (or solo)")
        self.brings = True
        try:
            self._gate.open()
        except MediagateError as exc:
            raise SystemExit(f"mediagate: {exc.detail}") from None

    def _end(self, sender: Any, **_: Any) -> None:
        if sender.app is self.app:
            self._gate.close()
            self.brings = False


class GateThread:
    """A gate that is open in the event loop of a thread of its own, with one records connection for all tasks."""

    def __init__(self, gate: MediaGate) -> None:
        self._gate = gate
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the gate to work on jobs; raises what keeps it from opening."""
        self._gate.use(worker=True)
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(opened)), name="mediagate", daemon=True)
        self._thread.start()
        opened.result()

    def work(self, job_id: str) -> None:
        """Make one attempt at a job and return when it has ended."""
        if self._loop is None:
            raise ShuttingDown("the gate of this worker is not open")
        asyncio.run_coroutine_threadsafe(self._gate.work(job_id), self._loop).result()

    def close(self) -> None:
        """Drain the jobs in flight and close the gate; can be repeated."""
        if self._loop is not None and self._closing is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join()

    async def _run(self, opened: Future[None]) -> None:
        try:
            async with self._gate:
                self._closing = asyncio.Event()
                self._loop = asyncio.get_running_loop()
                opened.set_result(None)
                await self._closing.wait()
                self._loop = None
        except BaseException as exc:
            if opened.done():
                raise
            opened.set_exception(exc)
