"""``mediagate run``: try a preset, or steps in a file, on pictures; ``mediagate presets``: list and check presets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from mediagate.cli import STANDALONE, Gate, load_gate, quit_with, run_async
from mediagate.errors import InvalidParameter, InvalidPipeline
from mediagate_plugins.pipelines.preset import problems_of
from mediagate_plugins.pipelines.rules import Rules
from mediagate_plugins.pipelines.run import Order, Outcome, rules_of
from mediagate_plugins.pipelines.run import run as run_order

presets = typer.Typer(no_args_is_help=True, help="List the presets of a gate, show one, or check all.")

FAILED, WRONG, REJECTED = 1, 2, 3
"""Exit codes: a picture failed; steps, preset or params are wrong; a picture may not be published."""


def run(
    words: Annotated[list[str], typer.Argument(metavar="[PRESET] PHOTO…", help="A preset of the gate, then pictures.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the files; it is created.")],
    steps: Annotated[Path | None, typer.Option(help="A JSON file with the steps, instead of a preset.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the preset; repeatable.")
    ] = None,
    picture: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="A picture that a watermark names; repeatable.")
    ] = None,
    gate: Annotated[str, typer.Option(help="Your gate as module:attribute.", envvar="MEDIAGATE_GATE")] = STANDALONE,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Run a preset of a gate, or steps in a file, on pictures, and write the results to a folder.

    Needs no server and no database. The pictures are judged as the gate judges them.
    """
    preset = None if steps is not None else words[0]
    photos = [Path(word) for word in (words if steps is not None else words[1:])]
    if not photos:
        _quit_wrong(["name a picture after the preset; to run steps without a preset, use --steps FILE.json"])
    inputs = {name: Path(path) for name, path in _named(picture).items()}
    order = Order(photos, out, preset, steps, _named(param), inputs, force)
    loaded, outcome, faults = load_gate(gate), Outcome(), list[str]()

    async def work() -> None:
        nonlocal outcome, faults
        try:
            outcome = await run_order(loaded, order)
        except InvalidPipeline as exc:
            faults = [f"{error['pointer'] or '/'}: {error['detail']}" for error in exc.errors]
        except InvalidParameter as exc:
            faults = [exc.detail]

    run_async(work())
    if faults:
        _quit_wrong(faults)
    if outcome.failed:
        raise SystemExit(FAILED)
    if outcome.rejected:
        raise SystemExit(REJECTED)


def _named(words: list[str] | None) -> dict[str, str]:
    """Return ``NAME=VALUE`` options by name."""
    named: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not (name and equals):
            _quit_wrong([f"{word!r}: write NAME=VALUE"])
        named[name] = value
    return named


def _quit_wrong(faults: list[str]) -> NoReturn:
    for fault in faults:
        typer.echo(f"mediagate: {fault}", err=True)
    raise SystemExit(WRONG)


@presets.command("list")
def list_(gate: Gate = STANDALONE) -> None:
    """Print the name, the version and the operations of each preset."""
    rules = _rules(gate)
    width = max(map(len, rules.presets), default=0)
    for name, preset in rules.presets.items():
        if problems_of(name, preset, rules.operations):
            typer.echo(f"{name:<{width}}  invalid; run `mediagate presets check`")
            continue
        params = f"  params: {', '.join(preset.params)}" if preset.params else ""
        typer.echo(f"{name:<{width}}  {preset.version}  {', '.join(step['op'] for step in preset.steps)}{params}")


@presets.command()
def show(name: Annotated[str, typer.Argument(help="The preset's name.")], gate: Gate = STANDALONE) -> None:
    """Print a preset as JSON: its version, its steps, and the JSON Schema of its params."""
    rules = _rules(gate)
    if name not in rules.presets:
        quit_with(f"there is no preset {name!r}; presets of this gate: {', '.join(rules.presets) or 'none'}")
    preset = rules.presets[name]
    if problems_of(name, preset, rules.operations):
        quit_with(f"the preset {name!r} is invalid; run `mediagate presets check`")
    told = {
        "name": name,
        "version": preset.version,
        "steps": preset.plain_steps,
        "params": preset.schema,
        "pictures": list(preset.pictures),
        "adHoc": preset.ad_hoc,
    }
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


@presets.command()
def check(gate: Gate = STANDALONE) -> None:
    """Check all presets against the operations that are installed; exit with 1 if one could fail."""
    rules, failed = _rules(gate), False
    for name, preset in rules.presets.items():
        found = problems_of(name, preset, rules.operations)
        failed |= bool(found)
        for problem in found:
            typer.echo(f"FAIL  {name}  {problem}")
        if not found:
            typer.echo(f"ok    {name}  {preset.version}")
    if failed:
        raise SystemExit(FAILED)


def _rules(path: str) -> Rules:
    """Return the rules of a gate, whose plugins boot without opening it: invalid presets do not prevent that."""
    loaded, found = load_gate(path), list[Rules]()

    async def work() -> None:
        async with loaded.assembled():
            found.append(rules_of(loaded))

    run_async(work())
    return found[0]
