"""The command ``mediagate`` with its own commands, which ``OWN`` and ``GROUPS`` list, and the commands of plugins.

A plugin adds a command as an entry point of the group ``mediagate.commands``, under the name of the entry point: a
function, or a ``typer.Typer`` with commands of its own. Each command imports its own dependencies lazily: only
``doctor`` loads the codecs, for example.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoints, entry_points
from typing import Annotated

import typer

from mediagate.cli.loading import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.cli.maintenance import adopt, doctor, janitor, migrate
from mediagate.cli.moderation import commands as moderation_commands
from mediagate.cli.owner_data import erase, export
from mediagate.cli.release import print_release
from mediagate.cli.retry import retry
from mediagate.cli.service import serve, worker
from mediagate.cli.status_line import StatusLine
from mediagate.cli.storage import commands as storage_commands
from mediagate.observe import LogFormat, configure_logs

__all__ = ["STANDALONE", "Gate", "StatusLine", "load_gate", "main", "quit_with", "run_async"]

COMMANDS = "mediagate.commands"
"""The group of entry points of plugins' commands."""
OWN = {command.__name__: command for command in (serve, worker, migrate, doctor, janitor, adopt, retry, erase, export)}
"""The core's own commands, which load no plugin."""
GROUPS = {"storage": storage_commands, "moderation": moderation_commands}
"""The core's own commands that have commands of their own."""

ABOUT = """Accepts image uploads, moderates and converts them, and publishes only the safe ones.

`mediagate serve` runs a gate over HTTP and processes its jobs; `mediagate worker` only processes jobs.
`mediagate doctor` checks their dependencies.
Without the argument GATE, a command uses MEDIAGATE_GATE, or else the built-in demo.
Settings are environment variables such as MEDIAGATE_DATA_DIR and MEDIAGATE_DATABASE_URL; all of them are on the page
"Settings" of the documentation.
"""
RUNNING = ("serve", "worker")
"""Long-running commands, whose log includes the INFO lines of libraries."""

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback(help=ABOUT)
def options(
    context: typer.Context,
    log: Annotated[LogFormat, typer.Option(envvar="MEDIAGATE_LOG", help="Format of the log lines.")] = LogFormat.TEXT,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_release,
            is_eager=True,
            help="Print the versions of mediagate, Python and the kernel.",
        ),
    ] = False,
) -> None:
    """Handle the options common to all commands."""
    configure_logs(log, libraries=context.invoked_subcommand in RUNNING)


for command in OWN.values():
    cli.command()(command)
for name, group in GROUPS.items():
    cli.add_typer(group, name=name)


def main() -> None:
    """Run the command line; of the plugins' commands only the one that is run is loaded, or all if none is named."""
    core = OWN.keys() | GROUPS.keys()
    named = next((word for word in sys.argv[1:] if word in core or word in plugin_commands().names), None)
    if named not in core:
        for command in plugin_commands():
            if named in (None, command.name):
                add_command(command.name, command.load())
    cli()


def add_command(name: str, command: typer.Typer | Callable[..., None]) -> None:
    """Add a command: a function, or a group of commands."""
    if isinstance(command, typer.Typer):
        cli.add_typer(command, name=name)
    else:
        cli.command(name)(command)


@cache
def plugin_commands() -> EntryPoints:
    """Return the entry points of plugins' commands; the lookup reads the metadata of each installed package."""
    return entry_points(group=COMMANDS)
