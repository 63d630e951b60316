"""The maintenance commands: ``migrate``, ``doctor``, ``janitor`` and ``adopt``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, run_async, warn_of_unknown_variables
from mediagate.cli.release import describe_release


def migrate() -> None:
    """Apply the missing migrations to the database at MEDIAGATE_DATABASE_URL."""

    from mediagate.config import Settings
    from mediagate.records import migrate as apply

    warn_of_unknown_variables()

    async def run() -> None:
        applied = await apply(Settings().records_url)
        typer.echo("\n".join(f"applied {name}" for name in applied) or "already up to date")

    run_async(run())


def doctor(gate: Gate = STANDALONE) -> None:
    """Check query engine, database, storage, model, codecs, image processes and plugins; exit with 1 if one fails."""
    from mediagate.cli.doctor import examine

    typer.echo(describe_release())
    loaded = load_gate(gate)
    healthy = True

    async def run() -> None:
        nonlocal healthy
        async for finding in examine(loaded):
            healthy &= finding.ok
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.part:<15} {finding.text}")

    run_async(run())
    if not healthy:
        raise typer.Exit(1)


def janitor(
    gate: Gate = STANDALONE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the files to remove.")] = False,
    really: Annotated[
        int | None,
        typer.Option(min=1, help="Remove the files despite the safety checks, if there are at most this many."),
    ] = None,
) -> None:
    """Finish jobs left behind by crashes, and remove expired media and files without a record.

    Exits with 1 and removes no files if the database may be another one than theirs, or may be incomplete.
    """
    from mediagate.cli.upkeep import sweep

    loaded = load_gate(gate)
    loaded.use(worker=False)

    async def run() -> None:
        async with loaded:
            async for line in sweep(loaded, dry_run=dry_run, really=really):
                typer.echo(line)

    run_async(run())


def adopt(gate: Gate = STANDALONE) -> None:
    """Assign the files in the storage to the gate's database, after an intended restore or move."""
    from mediagate.cli.upkeep import adopted

    loaded = load_gate(gate)

    async def run() -> None:
        typer.echo(await adopted(loaded))

    run_async(run())
