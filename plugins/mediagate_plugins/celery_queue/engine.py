"""The Celery app of a gate, and the bridge from Celery's synchronous worker to the asynchronous gate."""

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
"""Pools that run tasks in the worker's own process, where the gate is open."""


class Engine:
    """A Celery app whose task is one attempt at a gate's job, and whose workers open the gate."""

    def __init__(self, gate: MediaGate, broker: str, queue: str) -> None:
        self.queue = queue
        self.brings = False
        """Whether Celery's own worker runs in this process and delivers the jobs."""
        self.app = Celery("mediagate", broker=broker, set_as_current=False)
        self.app.conf.update(
            task_default_queue=queue,
            task_ignore_result=True,
            # A message is acknowledged when its attempt has ended, and a worker holds only the messages that it runs.
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            worker_prefetch_multiplier=1,
            # The control mailbox is exclusive to a node name: a worker that restarts at once could not open it.
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
        """Open the gate before the worker takes a job; an error on opening ends the worker."""
        if sender.app is not self.app:
            return
        if getattr(sender.pool_cls, "__module__", None) not in POOLS:
            raise SystemExit("mediagate: a gate cannot be shared by several processes: use --pool=threads (or solo)")
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
    """A gate that is open in the event loop of its own thread, with one records connection for all tasks."""

    def __init__(self, gate: MediaGate) -> None:
        self._gate = gate
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the gate with a worker; raises the errors of opening."""
        self._gate.use(worker=True)
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(opened)), name="mediagate", daemon=True)
        self._thread.start()
        opened.result()

    def work(self, job_id: str) -> None:
        """Make one attempt at a job and return when it has ended."""
        if self._loop is None:
            raise ShuttingDown("the gate of this worker is closed")
        asyncio.run_coroutine_threadsafe(self._gate.work(job_id), self._loop).result()

    def close(self) -> None:
        """Drain the jobs in flight and close the gate. Idempotent."""
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
