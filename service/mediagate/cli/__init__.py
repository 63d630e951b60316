"""The command ``mediagate``: serve, worker, migrate, doctor, janitor, adopt, retry, and what plugins bring.

A plugin brings a ``typer.Typer`` as an entry point of the group ``mediagate.commands``; its name is the command's.
Each command imports what it needs itself: only ``doctor`` looks at codecs, and only ``serve`` serves.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.cli.maintenance import adopt, doctor, janitor, migrate
from mediagate.cli.retry import retry
from mediagate.cli.service import serve, worker
from mediagate.observe import LogFormat, configure_logs

__all__ = ["STANDALONE", "Gate", "load_gate", "main", "quit_with", "run_async"]

COMMANDS = "mediagate.commands"
"""The group of entry points under which plugins bring their commands."""
OWN = {command.__name__: command for command in (serve, worker, migrate, doctor, janitor, adopt, retry)}
"""The core's own commands, for which no plugin is loaded."""

ABOUT = """Takes image uploads, judges and converts each, and publishes only those that are safe.

`mediagate serve` runs a gate over HTTP and works on its jobs; `mediagate worker` only works.
`mediagate doctor` says whether everything is there that they need.
A command that names no GATE takes that of MEDIAGATE_GATE, else a demo of its own.
Settings are environment variables, MEDIAGATE_DATA_DIR, MEDIAGATE_DATABASE_URL and so on: docs/reference/settings.md.
"""
RUNNING = ("serve", "worker")
"""Commands that have no answer: what libraries log at INFO belongs to their log."""

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback(help=ABOUT)
def options(
    context: typer.Context,
    log: Annotated[LogFormat, typer.Option(envvar="MEDIAGATE_LOG", help="How log lines look.")] = LogFormat.TEXT,
) -> None:
    """Take what all commands have in common."""
    configure_logs(log, libraries=context.invoked_subcommand in RUNNING)


for command in OWN.values():
    cli.command()(command)


def main() -> None:
    """Run the command line; plugins' commands are loaded unless the first command named is the core's own."""
    named = next((word for word in sys.argv[1:] if word in OWN or word in brought_commands().names), None)
    if named not in OWN:
        for brought in brought_commands():
            cli.add_typer(brought.load(), name=brought.name)
    cli()


@cache
def brought_commands() -> EntryPoints:
    """Return the entry points of plugins' commands; looking them up reads the metadata of each installed package."""
    return entry_points(group=COMMANDS)
