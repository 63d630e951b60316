"""The queue on Celery's broker: a job id is a Celery task, for mediagate's and for Celery's workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from amqp.exceptions import NotFound

from mediagate.errors import Unavailable
from mediagate_plugins.celery_queue.consumer import Consumer
from mediagate_plugins.celery_queue.engine import CONNECT_S, TASK, Engine

log = logging.getLogger("mediagate.celery_queue")


class CeleryQueue:
    """Job ids in a queue of RabbitMQ, as tasks that Celery's own worker can run as well."""

    def __init__(self, engine: Engine, *, prefetch: int, poll_s: float) -> None:
        self.poll_s = poll_s
        self._engine = engine
        self._prefetch = prefetch
        self._consumer: Consumer | None = None
        self._sender: ThreadPoolExecutor | None = None
        self._producer: Any = None

    def __repr__(self) -> str:
        return f"CeleryQueue({self._engine.queue!r})"

    async def dispatch(self, job_id: str) -> None:
        """Publish an id and wait for the broker's confirmation; raises the errors of Celery."""
        if self._sender is None:
            raise ConnectionError("the queue is closed")
        await asyncio.get_running_loop().run_in_executor(self._sender, self._publish, job_id)

    async def take(self) -> str:
        """Wait for an id; waits for ever where Celery's own worker runs, which then receives the ids."""
        if self._consumer is not None:
            return await self._consumer.take()
        return await asyncio.Future()

    async def done(self, job_id: str) -> None:
        """Acknowledge an id that was taken."""
        if self._consumer is not None:
            self._consumer.done(job_id)

    @contextlib.asynccontextmanager
    async def opened(self, *, worker: bool) -> AsyncIterator[None]:
        """Publish from one thread, and for a worker consume in another; both connect in the background."""
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="mediagate-publisher")
        if worker and not self._engine.brings:
            self._consumer = Consumer(self._engine, prefetch=self._prefetch)
            self._consumer.start()
        try:
            yield
        finally:
            sender, self._sender = self._sender, None
            sender.submit(self._disconnect)
            sender.shutdown(wait=False)
            if self._consumer is not None:
                await self._consumer.stop()
                self._consumer = None

    async def check(self) -> str:
        """Inspect the queue; return one line for ``mediagate doctor``, or raise ``Unavailable`` with advice."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> str:
        app, name = self._engine.app, self._engine.queue
        connection = app.connection_for_write(connect_timeout=CONNECT_S)
        try:
            with connection:
                connection.connect()
                found = app.amqp.queues[name].bind(connection.default_channel).queue_declare(passive=True)
        except NotFound:
            return f"{connection.as_uri()}: queue {name!r} does not exist yet; the first upload or worker creates it"
        except (*connection.connection_errors, *connection.channel_errors) as exc:
            raise Unavailable(
                f"{connection.as_uri()} cannot be used ({type(exc).__name__}): check that RabbitMQ is running there "
                "and accepts the user; until then workers poll the records for jobs, with a delay"
            ) from exc
        return f"{connection.as_uri()}: queue {name!r}, {found.message_count} waiting, {found.consumer_count} consumers"

    def _publish(self, job_id: str) -> None:
        app = self._engine.app
        if self._producer is None:
            self._producer = app.amqp.Producer(app.connection_for_write(), auto_declare=False)
        app.send_task(
            TASK,
            args=[job_id],
            queue=self._engine.queue,
            producer=self._producer,
            ignore_result=True,
            confirm_timeout=CONNECT_S,
            # One immediate retry: the connection may have died while idle.
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
        )

    def _disconnect(self) -> None:
        """Drop the connection without a handshake, which a hung broker would not answer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.connection.collect()
