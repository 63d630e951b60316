"""A recipe: checked steps, as a value that can be sent, compared and stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from mediagate.images.operations.operation import Params

ORIGINAL = "original"
"""The name of the uploaded picture in ``from``."""
OUTPUT = "output"
"""The name of the only output of a recipe without a ``save``."""
SAVE = "save"


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``start`` names the picture that it starts from, ``None`` the one that the step before left."""

    op: str
    params: Params
    start: str | None = None
    on_error: Literal["fail", "skip"] = "fail"

    @property
    def saves_as(self) -> str | None:
        """The name of the output of a ``save``, ``None`` for other steps."""
        return getattr(self.params, "name", None) if self.op == SAVE else None

    def to_json(self) -> dict[str, Any]:
        """Return the step as written in a request, without parameters at their defaults."""
        written: dict[str, Any] = {"op": self.op}
        if self.start is not None:
            written["from"] = self.start
        if self.on_error != "fail":
            written["onError"] = self.on_error
        return written | self.params.model_dump(mode="json", by_alias=True, exclude_defaults=True)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps of a pipeline, in the order in which they run."""

    steps: tuple[Step, ...]

    @property
    def ops(self) -> tuple[str, ...]:
        """The names of all operations, each once."""
        return tuple(dict.fromkeys(step.op for step in self.steps))

    @property
    def outputs(self) -> Mapping[str, Step]:
        """The steps that save a file, by the name of their output."""
        return {name: step for step in self.steps if (name := step.saves_as) is not None}

    @property
    def kept(self) -> frozenset[str]:
        """The names of all pictures that a step starts from."""
        return frozenset(step.start for step in self.steps if step.start is not None)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps as written in a request; ``parse`` reads them as an equal recipe."""
        return [step.to_json() for step in self.steps]

    @property
    def hash(self) -> str:
        """The SHA-256 of the canonical steps, in hex.

        Parameters at their defaults do not count, so a release that adds a parameter leaves all hashes as they are.
        """
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return sha256(canonical.encode()).hexdigest()
