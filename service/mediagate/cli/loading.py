"""Common steps of all commands: load the gate, run the coroutine, and print a message instead of a traceback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mediagate.errors import MediagateError
from mediagate.images import ForkServer

if TYPE_CHECKING:
    from mediagate.gate import MediaGate

log = logging.getLogger("mediagate")

STANDALONE = "mediagate_plugins.standalone:gate"
"""The default gate: sources ``avatar``, ``post`` and ``work``, open_nsfw, pipelines, and the demo page."""

Gate = Annotated[str, typer.Argument(help="Your gate as module:attribute.", envvar="MEDIAGATE_GATE", metavar="GATE")]


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Import without garbage collection: imported objects stay, and collecting took a seventh of the start time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def warn_of_unknown_variables() -> None:
    """Log each environment variable that looks like a setting but is unknown."""
    from mediagate.config import unknown_variables

    for sentence in unknown_variables():
        log.warning("%s", sentence)


def load_gate(path: str) -> MediaGate:
    """Return the gate at ``module:attribute``; ends the command with a message if it cannot be loaded."""
    from mediagate.gate import MediaGate

    warn_of_unknown_variables()
    module, _, attribute = path.partition(":")
    _find_modules_here()
    try:
        gate = getattr(importlib.import_module(module), attribute or "gate")
    except (ImportError, AttributeError) as exc:
        quit_with(
            f"cannot load {path!r} in the folder {Path.cwd()}: {exc}; pass your gate as module:attribute and run the "
            "command in the folder of the module"
        )
    except MediagateError as exc:
        quit_with(exc.detail)
    if not isinstance(gate, MediaGate):
        quit_with(f"{path!r} is not a MediaGate but {gate!r}; pass your gate as module:attribute")
    return gate


def _find_modules_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def load_and_fork(path: str) -> MediaGate:
    """Load a gate while the fork server of its image processes starts on another core."""
    _find_modules_here()  # for the fork server too
    server = ForkServer()
    server.start()
    gate = load_gate(path)
    gate.fork_server = server
    return gate


def run_async(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a command's coroutine; a ``MediagateError`` ends the command with its message."""
    try:
        asyncio.run(coroutine)
    except MediagateError as exc:
        quit_with(exc.detail)


def quit_with(message: str) -> NoReturn:
    """End the command with a message and exit code 1."""
    typer.echo(f"mediagate: {message}", err=True)
    raise SystemExit(1)
