"""``mediagate procrastinate``: creates the tables of the queue."""

from __future__ import annotations

import typer

from mediagate import QUEUE
from mediagate.cli import STANDALONE, Gate, load_gate, quit_with, run_async

commands = typer.Typer(no_args_is_help=True, help="The queue on PostgreSQL that Procrastinate keeps.")


@commands.callback()
def procrastinate() -> None:
    """The queue on PostgreSQL that Procrastinate keeps."""


@commands.command()
def migrate(gate: Gate = STANDALONE) -> None:
    """Create Procrastinate's tables in the gate's database, unless they are there."""
    from mediagate_plugins.procrastinate_queue.queue import ProcrastinateQueue

    loaded = load_gate(gate)

    async def run() -> None:
        async with loaded.assembled():
            queue = loaded[QUEUE]
            if not isinstance(queue, ProcrastinateQueue):
                quit_with(f"{gate}: its queue is {queue!r}; register procrastinate_queue")
            created = await queue.lacks_tables(create=True)
        typer.echo("created Procrastinate's tables" if created else "nothing to create")

    run_async(run())
