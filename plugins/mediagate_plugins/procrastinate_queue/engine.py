"""The Procrastinate app of a gate: its database, its one task, and the entry point of its own worker command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from procrastinate import App, PsycopgConnector

from mediagate.errors import ConfigError

if TYPE_CHECKING:
    from mediagate import MediaGate

TASK = "mediagate.attempt"
CONNECTIONS = 4
"""The most connections, in addition to the one that listens for notifications."""
CONNECT_S = 5.0


class GateApp(App):
    """A Procrastinate app whose task is one attempt at a gate's job, and whose workers open the gate."""

    def __init__(self, gate: MediaGate, database_url: str, queue: str) -> None:
        self.queue = queue
        self.database = conninfo(database_url)
        self.brings = False
        """Whether Procrastinate's own worker runs in this process and delivers the jobs."""
        self._gate = gate
        connector = PsycopgConnector(conninfo=self.database, min_size=1, max_size=CONNECTIONS, timeout=CONNECT_S)
        super().__init__(
            connector=connector,
            worker_defaults={
                "queues": [queue],
                "concurrency": gate.jobs_at_once,
                "delete_jobs": "always",
                "shutdown_graceful_timeout": gate.settings.drain_timeout_s,
            },
        )

        @self.task(name=TASK, queue=queue)
        async def attempt(job_id: str) -> None:
            await gate.work(job_id)

        self.attempt = attempt

    async def run_worker_async(self, **kwargs: Any) -> None:
        """Open the gate and run its jobs; called by ``procrastinate --app=… worker``."""
        self._gate.use(worker=True)
        self.brings = True
        try:
            async with self._gate:
                await super().run_worker_async(**kwargs)
        finally:
            self.brings = False


def conninfo(url: str) -> str:
    """Convert a database URL for libpq: options that only Prisma knows are removed.

    Raises ``ConfigError``, which does not quote the URL, since it may contain a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _malformed() from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigError(
            "procrastinate_queue needs PostgreSQL: set MEDIAGATE_DATABASE_URL=postgresql://…, or pass database_url"
        )
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    options = dict(parse_qsl(parts.query))
    kept = {name: value for name, value in options.items() if name in known}
    if schema := options.get("schema"):
        name = schema.replace('"', '""').replace("\\", r"\\").replace(" ", r"\ ")
        kept["options"] = f'{kept.get("options", "")} -csearch_path="{name}"'.strip()
    address = urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))
    try:
        psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        raise _malformed() from None
    return address


def _malformed() -> ConfigError:
    return ConfigError("procrastinate_queue: the database URL is malformed: check its host, port and options")
