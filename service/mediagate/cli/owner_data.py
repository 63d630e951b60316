"""The commands ``erase`` and ``export``, for the data of one owner."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import OwnerNotFound
from mediagate.values import NOUNS_OF_CORE

if TYPE_CHECKING:
    from mediagate.values import Erased, Exported

UNKNOWN = 3
"""Exit code when nothing is on record of the owner."""

Owner = Annotated[str, typer.Option(help="The owner, as in `Principal.id`, `owner=` or `mediagate keys list`.")]


def erase(
    owner: Owner,
    gate: Gate = STANDALONE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; required without a terminal.")] = False,
) -> None:
    """Delete everything of an owner: media, jobs, direct uploads, files, and the data of plugins, such as API keys.

    Exits with 3 if nothing is on record of the owner, and with 1 if data arrived meanwhile and is left.
    """
    if not yes and not sys.stdin.isatty():
        quit_with("nothing was deleted: there is no terminal to confirm on; add --yes")
    loaded = load_gate(gate)
    loaded.use(worker=False)
    if not yes and not typer.confirm(f"Delete everything of the owner {owner!r}, irrevocably?"):
        quit_with("nothing was deleted")
    results: list[Erased] = []

    async def run() -> None:
        async with loaded:
            results.append(await loaded.erase(owner=owner))

    run_async(run())
    (erased,) = results
    counts = (erased.jobs, erased.media, erased.uploads, erased.files, erased.batches)
    found = [*zip(NOUNS_OF_CORE, counts, strict=True), *erased.others.items()]
    if not erased.batches:
        found.remove(("batches", 0))
    if not any(number for _, number in found) and erased.complete:
        typer.echo(f"mediagate: owner {owner!r}: nothing is on record; check the name and the gate", err=True)
        raise typer.Exit(UNKNOWN)
    typer.echo("deleted " + ", ".join(f"{number:,} {noun}" for noun, number in found))
    if not erased.complete:
        quit_with("more data of the owner has arrived meanwhile; stop its uploads, and run the command again")


def export(
    owner: Owner,
    to: Annotated[Path, typer.Option(help="The ZIP file to write; it must not exist yet.")],
    gate: Gate = STANDALONE,
) -> None:
    """Write everything of an owner to a ZIP archive: records as JSON, and the published files.

    Exits with 3 if nothing is on record of the owner.
    """
    loaded = load_gate(gate)
    loaded.use(worker=False)
    results: list[Exported] = []

    async def run() -> None:
        async with loaded:
            try:
                results.append(await loaded.export(owner=owner, to=to))
            except OwnerNotFound as exc:
                typer.echo(f"mediagate: {exc.detail}", err=True)
                raise typer.Exit(UNKNOWN) from None

    run_async(run())
    (exported,) = results
    others = "".join(f", {number:,} rows of {table}" for table, number in exported.others.items())
    typer.echo(
        f"{exported.path}: {exported.jobs:,} jobs, {exported.media:,} media, {exported.uploads:,} direct uploads, "
        f"{exported.files:,} files ({exported.bytes / 1e6:,.1f} MB){others}"
    )
    if exported.missing:
        typer.echo(f"mediagate: the storage lacks {exported.missing:,} files that are on record", err=True)
