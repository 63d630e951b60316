"""What a report of a fault has to name: the release, Python and the kernel."""

from __future__ import annotations

import platform
from importlib.metadata import version

import typer


def describe_release() -> str:
    """Return the versions in one line, such as ``mediagate 0.1.0, Python 3.11.7, Linux 6.1.0 x86_64``."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"mediagate {version('mediagate')}, Python {platform.python_version()}, {system}"


def print_release(asked: bool) -> None:
    """Print the versions and end the command, if ``--version`` is given."""
    if asked:
        typer.echo(describe_release())
        raise typer.Exit
