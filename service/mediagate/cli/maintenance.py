"""The commands that look after a service: ``migrate``, ``doctor``, ``janitor`` and ``adopt``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, run_async, warn_of_unknown_variables


def migrate() -> None:
    """Apply the migrations that the database named by MEDIAGATE_DATABASE_URL lacks."""

    from mediagate.config import Settings
    from mediagate.records import migrate as apply

    warn_of_unknown_variables()

    async def run() -> None:
        applied = await apply(Settings().records_url)
        typer.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")

    run_async(run())


def doctor(gate: Gate = STANDALONE) -> None:
    """Check database, storage, model, codecs and Node; exit 1 if something needs doing."""
    from mediagate.cli.doctor import examine

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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    really: Annotated[
        int | None, typer.Option(min=1, help="Remove up to so many files, whatever speaks against it.")
    ] = None,
) -> None:
    """Finish what crashes left behind, and remove what has expired and files that no record names.

    Exits with 1, and removes no files, where the database may not be the one that knows them, or not all of it.
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
    """Make the files in the storage those of the gate's database, after an intended restore or move."""
    from mediagate.cli.upkeep import adopted

    loaded = load_gate(gate)

    async def run() -> None:
        typer.echo(await adopted(loaded))

    run_async(run())
