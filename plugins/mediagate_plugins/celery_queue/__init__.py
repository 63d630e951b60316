"""A queue for many machines on an existing RabbitMQ: Celery.

``pip install "mediagate[celery]"``. Workers are ``mediagate worker`` or ``celery --app=… worker``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagate import Key, plugin
from mediagate.errors import ConfigError

if TYPE_CHECKING:
    from celery import Celery

    from mediagate import MediaGate
    from mediagate_plugins.celery_queue.engine import Engine
    from mediagate_plugins.celery_queue.queue import CeleryQueue

NAME = "mediagate"
CELERY_QUEUE: Key[CeleryQueue] = Key("CELERY_QUEUE")
"""The queue itself; an open gate's ``QUEUE`` passes ids to it."""


@plugin("celery_queue", provides=("QUEUE",))
async def celery_queue(gate: MediaGate, *, broker: str, queue: str = NAME) -> None:
    """Pass job ids through the queue ``queue`` of the RabbitMQ at ``broker``, such as ``amqp://user:password@host``.

    An unavailable broker prevents neither the boot nor an upload. Raises ``ConfigError``.
    """
    attach(gate, make_engine(gate, broker, queue))


def celery_app(gate: MediaGate, *, broker: str, queue: str = NAME) -> Celery:
    """Give a gate the queue, and return the app with which Celery's own command runs its jobs.

    Use it instead of registering ``celery_queue``: ``app = celery_app(gate, broker=…)`` in ``media.py``, then
    ``celery --app=media worker``. The default pool is ``threads``; ``solo`` runs one job at a time. Raises
    ``ConfigError``.
    """
    engine = make_engine(gate, broker, queue)
    attach(gate, engine)
    return engine.app


def make_engine(gate: MediaGate, broker: str, queue: str) -> Engine:
    """Return the Celery engine of a gate; raises ``ConfigError``, also when the extra is not installed."""
    if not broker.startswith(("amqp://", "amqps://")):
        raise ConfigError("celery_queue: broker must be the address of a RabbitMQ, amqp://… or amqps://…")
    try:
        from mediagate_plugins.celery_queue.engine import Engine  # imported lazily: an extra
    except ImportError as exc:
        raise ConfigError(f'celery_queue needs Celery: pip install "mediagate[celery]" ({exc})') from None
    return Engine(gate, broker, queue)


def attach(gate: MediaGate, engine: Engine) -> None:
    """Provide the gate's ``QUEUE``, which opens and closes with the gate."""
    from mediagate import QUEUE
    from mediagate_plugins.celery_queue.queue import CeleryQueue

    # A dead worker is detected by its lease, so polling more often within a lease finds nothing more.
    queue = CeleryQueue(engine, prefetch=gate.jobs_at_once + 1, poll_s=gate.settings.lease_s / 6)

    async def open_queue(gate: MediaGate) -> None:
        await gate.enter(queue.opened(worker=gate.settings.worker))

    gate.decorate(QUEUE, queue)
    gate.decorate(CELERY_QUEUE, queue)
    gate.add_check("queue", queue.check)
    gate.add_hook("on_ready", open_queue)
