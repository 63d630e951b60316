"""The work of ``mediagate run``: one recipe on one picture after another, without a server."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediagate import MediaGate, OutputFile, Produced, StepEnd, Trial
from mediagate.cli import StatusLine
from mediagate.errors import ConfigError, InvalidParameter, InvalidPipeline, MediagateError, PluginError
from mediagate.operations import Recipe, join, joined_outputs, parse
from mediagate_plugins.pipelines.folder import file_name, write_files
from mediagate_plugins.pipelines.parameters import Int, Number
from mediagate_plugins.pipelines.request import picture_faults
from mediagate_plugins.pipelines.rules import PIPELINES, Rules

EXTENSIONS = {"jpeg": "jpg"}
"""File extensions that differ from the name of the format."""
WIDTH = 20
"""Characters of the progress bar."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the command was asked for."""

    photos: Sequence[Path]
    folder: Path
    preset: str | None = None
    steps: Path | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """Further pictures by name."""
    force: bool = False


class Steps(StatusLine):
    """The progress of one recipe on all pictures."""

    def __init__(self, photos: Sequence[Path], recipe: Recipe) -> None:
        super().__init__()
        self._ops = [step.op for step in recipe.steps]
        self._photos = len(photos)
        self.photo = Path()
        self.page: int | None = None
        self.number = 0
        self.step = 0

    def begin(self, photo: Path) -> None:
        """Begin the next picture."""
        self.photo, self.page, self.number, self.step = photo, None, self.number + 1, 0

    def turn(self, page: int | None) -> None:
        """Begin the next page of a document."""
        self.page, self.step = page, 0

    def end(self, step: StepEnd) -> None:
        """Count a step that has ended."""
        self.step = step.step + 1

    def __str__(self) -> str:
        total = self._photos * len(self._ops)
        done = (self.number - 1) * len(self._ops) + self.step
        bar = "#" * (WIDTH * done // total)
        doing = self._ops[self.step] if self.step < len(self._ops) else "writing"
        page = "" if self.page is None else f", page {self.page}"
        return f"[{bar:-<{WIDTH}}] {self.photo.name!r:.60}{page}, {self.step} of {len(self._ops)} steps: {doing}"


@dataclass(slots=True)
class Outcome:
    """How many pictures could not be processed, and how many may not be published."""

    failed: int = 0
    rejected: int = 0


async def run(gate: MediaGate, order: Order) -> Outcome:
    """Run the order in an image process of the gate, with the limits and the moderation of the pipelines' source.

    A picture that fails or is rejected leaves no file, and the next one is processed. Prints the path of each file.
    Raises ``PluginError`` if the gate does not register the plugin, ``ConfigError`` if it cannot process pictures, and
    before the first picture ``InvalidPipeline`` and ``InvalidParameter``.
    """
    gate.use(worker=True)
    async with gate.trial() as trial:
        running = _Running(trial, rules_of(gate), order)
        async with running.progress.shown():
            for photo in order.photos:
                await running.run(photo)
            running.join()
    return running.outcome


class _Running:
    """The processing of one order."""

    def __init__(self, trial: Trial, rules: Rules, order: Order) -> None:
        self._trial = trial
        self._rules = rules
        self._order = order
        self._recipe = _recipe(rules, order)
        self._inputs = {name: _read(path, rules.source.max_bytes) for name, path in order.inputs.items()}
        self._written: set[str] = set()
        self._made: list[tuple[Path, OutputFile]] = []
        """The files to join, in their order."""
        self.progress = Steps(order.photos, self._recipe)
        self.outcome = Outcome()

    async def run(self, photo: Path) -> None:
        """Run the steps on one picture and write its files."""
        self.progress.begin(photo)
        try:
            made: dict[int | None, Produced] = {}
            data = _read(photo, self._rules.source.max_bytes)
            for page in await self._trial.pages(photo, self._recipe, self._rules.source_type):
                self.progress.turn(page)
                made[page] = produced = await self._trial.run(
                    data, self._recipe, self._rules.source_type, page=page, inputs=self._inputs, told=self.progress.end
                )
                if produced.verdict.decision != "allow":
                    self._reject(photo, page, produced)
                    return
            self._write(photo, made)
        except ConfigError:
            raise
        except MediagateError as exc:
            self.outcome.failed += 1
            step = f"step {exc.step + 1} ({exc.op}): " if exc.step is not None else ""
            self.progress.print(f"failed {photo}: {exc.code}: {step}{exc.detail}", err=True)

    def join(self) -> None:
        """Write the outputs that join all pictures, named after the first."""
        for name in joined_outputs(self._recipe):
            parts = [(photo, file) for photo, file in self._made if file.name == name]
            if parts:
                file = join(self._recipe, name, [part for _, part in parts])
                alone = len(self._recipe.outputs) == 1
                self._save({file_name(parts[0][0], name, file.format, alone=alone): file.data})

    def _reject(self, photo: Path, page: int | None, produced: Produced) -> None:
        self.outcome.rejected += 1
        flags = ", ".join(produced.verdict.flags) or produced.verdict.decision
        self.progress.print(f"rejected {photo}{_place(page)}: {flags}; no file is written", err=True)

    def _write(self, photo: Path, made: Mapping[int | None, Produced]) -> None:
        joined = joined_outputs(self._recipe)
        self._save(_files(photo, made, joined))
        self._made += [(photo, file) for produced in made.values() for file in produced.outputs if file.name in joined]
        for page, produced in made.items():
            for warning in produced.warnings:
                op = self._recipe.steps[warning.step].op
                self.progress.print(
                    f"warning {photo}{_place(page)}: step {warning.step + 1} ({op}): {warning.code}: {warning.detail}",
                    err=True,
                )

    def _save(self, files: Mapping[str, bytes]) -> None:
        if taken := self._written & files.keys():
            raise InvalidParameter(f"another picture has been written to {min(taken)}; use another folder for this one")
        self._written |= files.keys()
        for path in write_files(self._order.folder, files, force=self._order.force):
            self.progress.print(str(path))


def rules_of(gate: MediaGate) -> Rules:
    """Return the rules of a booted gate; raises ``PluginError`` if it does not register the plugin."""
    try:
        return gate[PIPELINES]
    except PluginError:
        raise PluginError("this gate runs no pipelines; add gate.register(pipelines, presets={…})") from None


def _recipe(rules: Rules, order: Order) -> Recipe:
    """Return the steps to run; raises ``InvalidPipeline`` and ``InvalidParameter``."""
    if order.steps is not None:
        if order.params:
            raise InvalidParameter("--param is for presets; write the values into the steps")
        return parse(_steps_in(order.steps), rules.operations, inputs=order.inputs, root=())
    name = order.preset or ""
    if name not in rules.presets:
        known = ", ".join(rules.presets) or "none; write Preset(steps=[…]) into the gate, or use --steps"
        raise InvalidParameter(f"there is no preset {name!r}; presets of this gate: {known}")
    preset = rules.presets[name]
    values = {key: _value(text, preset.params.get(key)) for key, text in order.params.items()}
    recipe = preset.recipe(values, rules.operations)
    if faults := list(picture_faults(recipe, rules.operations, order.inputs)):
        raise InvalidPipeline(faults)
    return recipe


def _steps_in(file: Path) -> Any:
    """Return the steps in a JSON file: a list of steps, or a request with a field ``steps``."""
    try:
        written = json.loads(file.read_bytes())
    except OSError as exc:
        raise InvalidParameter(f"cannot read {file}: {exc.strerror or exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise InvalidParameter(f"{file} is not JSON: {exc}") from exc
    return written["steps"] if isinstance(written, dict) and "steps" in written else written


def _value(text: str, parameter: object) -> Any:
    if not isinstance(parameter, Int | Number):
        return text
    try:
        return int(text) if isinstance(parameter, Int) else float(text)
    except ValueError:
        return text  # refused as a text


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as exc:
        raise InvalidParameter(f"cannot read {path}: {exc.strerror or exc}") from exc
    if len(data) > most:
        raise InvalidParameter(f"{path} has more than {most:,} bytes, the limit of its source")
    return data


def _files(photo: Path, made: Mapping[int | None, Produced], joined: Collection[str]) -> dict[str, bytes]:
    """Return the files of a result by name: its outputs that are not joined, and all data as one JSON file."""
    files: dict[str, bytes] = {}
    data: list[dict[str, Any]] = []
    for page, produced in made.items():
        alone = len(produced.outputs) == 1
        for output in produced.outputs:
            if output.name not in joined:
                extension = EXTENSIONS.get(output.format, output.format)
                files[file_name(photo, output.name, extension, alone=alone, page=page)] = output.data
        place = {} if page is None else {"page": page}
        data += [{**place, "step": step.step, "op": step.op, "value": dict(step.value)} for step in produced.data]
    if data:
        files[file_name(photo, "data", "json", alone=True)] = json.dumps(data, indent=2, ensure_ascii=False).encode()
    return files


def _place(page: int | None) -> str:
    return "" if page is None else f", page {page}"
