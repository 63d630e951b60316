"""What an attack is, and what came of one run of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.size import Size


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured in words, and whether the goal was reached."""

    measured: str
    held: bool
    broke_off: bool = False
    """Whether an exception ended the run before anything was measured."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A row of the table: a short name, what is done, what is to hold, and how to do it once."""

    name: str
    what: str
    goal: str
    run: Callable[[Size], Outcome]
