"""``mediagate procrastinate``: creates the tables of the queue."""

from __future__ import annotations

import typer

from mediagate.cli import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import PluginError
from mediagate_plugins.procrastinate_queue import PROCRASTINATE_QUEUE

commands = typer.Typer(no_args_is_help=True, help="Manage Procrastinate's queue on PostgreSQL.")


@commands.callback()
def procrastinate() -> None:
    """Manage Procrastinate's queue on PostgreSQL."""


@commands.command()
def migrate(gate: Gate = STANDALONE) -> None:
    """Create Procrastinate's tables in the gate's database, unless they exist."""
    loaded = load_gate(gate)

    async def run() -> None:
        async with loaded.assembled():
            try:
                queue = loaded[PROCRASTINATE_QUEUE]
            except PluginError:
                quit_with(f"{gate}: this gate uses another queue; register procrastinate_queue")
            created = await queue.lacks_tables(create=True)
        typer.echo("created Procrastinate's tables" if created else "nothing to create")

    run_async(run())
