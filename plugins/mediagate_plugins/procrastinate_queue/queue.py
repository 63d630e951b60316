"""The queue on Procrastinate's tables: each job id is a row that is deleted when its attempt has ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.schema import SchemaManager

from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate_plugins.procrastinate_queue.engine import TASK, GateApp

log = logging.getLogger("mediagate.procrastinate_queue")

FETCH_S = 5.0
"""How often to poll for ids without a notification; the default of Procrastinate's own worker."""
HEARTBEAT_S = 10.0
STALLED_S = 30.0
"""The time without a heartbeat after which a worker is dead and its ids are redelivered: Procrastinate's defaults."""
SCHEMA_LOCK = 72707370
"""The advisory lock under which the tables are created."""

LACKS_TABLES = (
    "procrastinate_queue: Procrastinate's tables are missing in the database: run `mediagate procrastinate "
    "migrate module:gate`, or set MEDIAGATE_MIGRATE=true"
)
LOOK = """
SELECT (SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %(queue)s AND status = 'todo') AS waiting,
       (SELECT count(*) FROM procrastinate_jobs WHERE queue_name = %(queue)s AND status = 'doing') AS taken,
       (SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %(stalled)s))
"""
"""``todo`` is Procrastinate's status of a waiting job."""


class ProcrastinateQueue:
    """Job ids in Procrastinate's tables: LISTEN notifies of new ids, and heartbeats reveal dead workers."""

    def __init__(self, app: GateApp, *, poll_s: float) -> None:
        self.poll_s = poll_s
        self._app = app
        self._manager = app.job_manager
        self._worker: int | None = None
        self._taken: defaultdict[str, list[int]] = defaultdict(list)
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"ProcrastinateQueue({self._app.queue!r})"

    async def dispatch(self, job_id: str) -> None:
        """Insert an id."""
        await self._app.attempt.defer_async(job_id=job_id)

    async def take(self) -> str:
        """Wait for an id; waits for ever where Procrastinate's own worker runs, which then receives the ids."""
        if self._app.brings:
            return await asyncio.Future()
        while True:
            self._news.clear()
            job = await self._fetched()
            if job is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), FETCH_S)
                continue
            job_id = job.task_kwargs.get("job_id")
            if job.task_name == TASK and isinstance(job_id, str) and job.id is not None:
                self._taken[job_id].append(job.id)
                return job_id
            log.warning("queue %r: foreign task %s; give the gate its own queue", self._app.queue, job.call_string)
            await self._manager.finish_job(job, Status.FAILED, delete_job=False)

    async def done(self, job_id: str) -> None:
        """Delete a taken id."""
        taken = self._taken[job_id]
        row = taken.pop()
        if not taken:
            del self._taken[job_id]
        await self._manager.finish_job_by_id_async(row, Status.SUCCEEDED, delete_job=True)

    @contextlib.asynccontextmanager
    async def opened(self, *, worker: bool, migrate: bool) -> AsyncIterator[None]:
        """Connect; for a worker also listen, send heartbeats, and requeue the ids that dead workers had taken.

        Raises ``RecordsUnavailable``, or ``ConfigError`` when the tables are missing and ``migrate`` is off.
        """
        if await self.lacks_tables(create=migrate) and not migrate:
            raise ConfigError(LACKS_TABLES)
        await self._app.open_async()
        try:
            chores = [asyncio.create_task(chore) for chore in ((self._listen(), self._keep()) if worker else ())]
            try:
                yield
            finally:
                for chore in chores:
                    chore.cancel()
                await asyncio.gather(*chores, return_exceptions=True)
                await self._give_back()
        finally:
            await self._app.close_async()

    async def check(self) -> str:
        """Inspect the queue; return one line for ``mediagate doctor``.

        Raises ``RecordsUnavailable``, or ``ConfigError`` when the tables are missing.
        """
        if await self.lacks_tables(create=False):
            raise ConfigError(LACKS_TABLES)
        async with self._connected() as connection:
            of = {"queue": self._app.queue, "stalled": STALLED_S}
            row = await (await connection.execute(LOOK, of)).fetchone()
        waiting, taken, workers = row or (0, 0, 0)
        return f"PostgreSQL: queue {self._app.queue!r}, {waiting} waiting, {taken} taken; {workers} workers"

    async def lacks_tables(self, *, create: bool) -> bool:
        """Whether Procrastinate's tables were missing; creates them if ``create`` is set.

        Raises ``RecordsUnavailable``.
        """
        async with self._connected() as connection:
            if create:
                await connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
            found = await (await connection.execute("SELECT to_regclass('procrastinate_jobs')")).fetchone()
            lacking = found is None or found[0] is None
            if lacking and create:
                await connection.execute(SchemaManager.get_schema())
        return lacking

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[psycopg.AsyncConnection]:
        try:
            async with await psycopg.AsyncConnection.connect(self._app.database, connect_timeout=10) as connection:
                yield connection
        except psycopg.Error as exc:
            raise RecordsUnavailable(
                f"procrastinate_queue: PostgreSQL does not answer ({type(exc).__name__}): check that it is running; "
                "check host, port, user and password in MEDIAGATE_DATABASE_URL or database_url, and the user's "
                "privileges"
            ) from exc

    async def _fetched(self) -> Job | None:
        try:
            if self._worker is None:
                self._worker = await self._manager.register_worker()
            return await self._manager.fetch_job(queues=[self._app.queue], worker_id=self._worker)
        except ConnectorException:
            # While this process was stopped, others may have declared the worker dead: it must register again.
            self._worker = None
            raise

    async def _listen(self) -> None:
        async def notified(*, channel: str, notification: Any) -> None:
            if notification["type"] == "job_inserted":
                self._news.set()

        while True:
            try:
                await self._manager.listen_for_jobs(on_notification=notified, queues=[self._app.queue])
            except (ConnectorException, psycopg.Error) as exc:
                log.warning("could not listen for jobs: %s", type(exc).__name__)
            except Exception:
                log.exception("could not listen for jobs")
            await asyncio.sleep(FETCH_S)

    async def _keep(self) -> None:
        while True:
            try:
                if self._worker is not None:
                    await self._manager.update_heartbeat(self._worker)
                await self._manager.prune_stalled_workers(STALLED_S)
                for job in await self._manager.get_stalled_jobs(
                    queue=self._app.queue, task_name=TASK, seconds_since_heartbeat=STALLED_S
                ):
                    with contextlib.suppress(ConnectorException):  # another worker has requeued it
                        await self._manager.retry_job(job)
            except (ConnectorException, psycopg.Error) as exc:
                log.warning("heartbeat failed: %s", type(exc).__name__)
            except Exception:
                log.exception("heartbeat failed")
            await asyncio.sleep(HEARTBEAT_S * random.uniform(0.5, 1.0))

    async def _give_back(self) -> None:
        """Requeue the ids that this worker took and did not finish."""
        worker, self._worker = self._worker, None
        self._taken.clear()
        if worker is None:
            return
        try:
            for job in await self._manager.list_jobs_async(worker_id=worker, status="doing"):
                await self._manager.retry_job(job)
            await self._manager.unregister_worker(worker)
        except ConnectorException as exc:
            log.warning("could not requeue jobs: %s", type(exc).__name__)
