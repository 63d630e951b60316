"""Consumes the queue for ``mediagate worker``: a thread with kombu's event loop, since Celery has no other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import defaultdict
from typing import Any

from kombu.asynchronous import Hub

from mediagate_plugins.celery_queue.engine import TASK, Engine

log = logging.getLogger("mediagate.celery_queue")

HEARTBEAT_S = 60
RETRY_S = 1.0
STOP_S = 5.0
"""How long closing waits for the broker to disconnect."""


class Consumer:
    """Passes ids from the broker to an event loop, with at most ``prefetch`` unacknowledged."""

    def __init__(self, engine: Engine, *, prefetch: int) -> None:
        self._engine = engine
        self._prefetch = prefetch
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[str | Exception] = asyncio.Queue()
        self._taken: defaultdict[str, list[tuple[Any, Any]]] = defaultdict(list)
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._hub: Any = None
        self._thread = threading.Thread(target=self._run, name="mediagate-consumer", daemon=True)

    def start(self) -> None:
        """Start consuming; an unavailable broker is retried every second."""
        self._thread.start()

    async def take(self) -> str:
        """Wait for an id; raises the error that broke the connection to the broker."""
        arrived = await self._arrived.get()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def done(self, job_id: str) -> None:
        """Acknowledge one message with this id, on the connection that delivered it."""
        with self._changing:
            taken = self._taken.get(job_id)
            if not taken:
                return  # its connection broke, so the broker redelivers it
            hub, message = taken.pop()
            if not taken:
                del self._taken[job_id]
        hub.call_soon(message.ack)

    async def stop(self) -> None:
        """Send pending acknowledgements and disconnect: the broker redelivers the other messages."""
        self._stopping.set()
        if self._hub is not None:
            self._hub.call_soon(_wake)
        await asyncio.to_thread(self._thread.join, STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._consume()
            except Exception as exc:
                with self._changing:
                    self._taken.clear()
                self._tell(exc)
                self._stopping.wait(RETRY_S)

    def _consume(self) -> None:
        app = self._engine.app
        hub: Any = Hub()
        self._hub = hub
        connection = app.connection_for_read(heartbeat=HEARTBEAT_S)
        try:
            connection.connect()
            consumer = app.amqp.TaskConsumer(
                connection.default_channel, queues=[app.amqp.queues[self._engine.queue]], on_message=self._received
            )
            consumer.qos(prefetch_count=self._prefetch)
            connection.register_with_event_loop(hub)
            hub.propagate_errors = connection.connection_errors
            hub.timer.call_repeatedly(HEARTBEAT_S / 2, connection.heartbeat_check)
            consumer.consume()
            while not self._stopping.is_set():
                hub.run_once()
            hub.close()  # also sends pending acknowledgements
            connection.release()
        finally:
            connection.collect()
            for _ in range(2):  # pending acknowledgements on a broken connection make the first call fail
                with contextlib.suppress(Exception):
                    hub.close()

    def _received(self, message: Any) -> None:
        job_id = _job_id(message)
        if job_id is None:
            log.warning("queue %r delivered a foreign message; give the gate its own queue", self._engine.queue)
            message.reject()
            return
        with self._changing:
            self._taken[job_id].append((self._hub, message))
        self._tell(job_id)

    def _tell(self, arrived: str | Exception) -> None:
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, arrived)


def _job_id(message: Any) -> str | None:
    """Return the job id in a Celery task, ``None`` for any other message."""
    try:
        arguments, *_ = message.payload
        (job_id,) = arguments
    except Exception:  # a foreign message may fail in any way
        return None
    return job_id if message.headers.get("task") == TASK and isinstance(job_id, str) else None


def _wake() -> None:
    """Do nothing: the call itself wakes the event loop."""
