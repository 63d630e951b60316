"""A queue for many machines on the PostgreSQL of the records: Procrastinate, without an additional server.

``pip install "mediagate[procrastinate]"``. Workers are ``mediagate worker`` or ``procrastinate --app=… worker``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagate import Key, plugin
from mediagate.errors import ConfigError

if TYPE_CHECKING:
    from mediagate import MediaGate
    from mediagate_plugins.procrastinate_queue.engine import GateApp
    from mediagate_plugins.procrastinate_queue.queue import ProcrastinateQueue

NAME = "mediagate"
PROCRASTINATE_QUEUE: Key[ProcrastinateQueue] = Key("PROCRASTINATE_QUEUE")
"""The queue itself; an open gate's ``QUEUE`` passes ids to it."""


@plugin("procrastinate_queue", provides=("QUEUE",))
async def procrastinate_queue(gate: MediaGate, *, database_url: str | None = None, queue: str = NAME) -> None:
    """Pass job ids through Procrastinate's queue ``queue``, in the records' PostgreSQL or ``database_url``.

    ``mediagate procrastinate migrate`` creates its tables. Raises ``ConfigError``, also when they are missing.
    """
    attach(gate, make_app(gate, database_url, queue))


def procrastinate_app(gate: MediaGate, *, database_url: str | None = None, queue: str = NAME) -> GateApp:
    """Give a gate the queue, and return the app with which Procrastinate's own command runs its jobs.

    Use it instead of registering ``procrastinate_queue``: ``app = procrastinate_app(gate)`` in ``media.py``, then
    ``procrastinate --app=media.app worker``. Raises ``ConfigError``.
    """
    app = make_app(gate, database_url, queue)
    attach(gate, app)
    return app


def make_app(gate: MediaGate, database_url: str | None, queue: str) -> GateApp:
    """Return the app of a gate; raises ``ConfigError``, also when the extra is not installed."""
    try:
        from mediagate_plugins.procrastinate_queue.engine import GateApp  # imported lazily: an extra
    except ImportError as exc:
        raise ConfigError(
            f'procrastinate_queue needs Procrastinate and psycopg: pip install "mediagate[procrastinate]" ({exc})'
        ) from None
    return GateApp(gate, database_url or gate.settings.records_url, queue)


def attach(gate: MediaGate, app: GateApp) -> None:
    """Provide the gate's ``QUEUE``, which opens and closes with the gate."""
    from mediagate import QUEUE
    from mediagate_plugins.procrastinate_queue.queue import ProcrastinateQueue

    # A dead worker is detected by its lease, so polling more often within a lease finds nothing more.
    queue = ProcrastinateQueue(app, poll_s=gate.settings.lease_s / 6)

    async def open_queue(gate: MediaGate) -> None:
        await gate.enter(queue.opened(worker=gate.settings.worker, migrate=gate.settings.migrate is True))

    gate.decorate(QUEUE, queue)
    gate.decorate(PROCRASTINATE_QUEUE, queue)
    gate.add_check("queue", queue.check)
    gate.add_hook("on_ready", open_queue)
