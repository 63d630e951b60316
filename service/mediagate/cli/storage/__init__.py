"""The commands ``mediagate storage …``."""

from __future__ import annotations

from typing import Annotated

import typer

from mediagate.cli.loading import run_async

commands = typer.Typer(no_args_is_help=True, help="Copy all files of a gate to another storage.")

FROM = "Where the files are: a gate as module:attribute, a folder, or a URL such as s3://bucket/prefix."
TO = "Where to copy them, in the same form."
POLICY = "The gate whose sources say which files are private; required if neither address is a gate."


@commands.callback()
def storage() -> None:
    """Have a name of its own for each command, even while there is only one."""


@commands.command()
def copy(
    source: Annotated[str, typer.Option("--from", metavar="ADDRESS", help=FROM)],
    target: Annotated[str, typer.Option("--to", metavar="ADDRESS", help=TO)],
    gate: Annotated[str | None, typer.Option(envvar="MEDIAGATE_GATE", metavar="GATE", help=POLICY)] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the bytes of all files, not only sizes.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete files of the destination that the source no longer has.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be copied or deleted.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Files copied at once.")] = 8,
) -> None:
    """Copy the files that the destination lacks, or has in another version; run it again to continue.

    Exits with 1 if a file could not be copied.
    """
    from mediagate.cli.storage.copy import Options, copy_files

    complete = False

    async def run() -> None:
        nonlocal complete
        options = Options(verify=verify, delete=delete, dry_run=dry_run, concurrency=concurrency)
        complete = await copy_files(source, target, options, policy=gate)

    run_async(run())
    if not complete:
        raise typer.Exit(1)
