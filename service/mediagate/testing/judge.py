"""A moderator for tests that returns the verdict set by the test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mediagate.values import Decision, Verdict

FILE = "verdict.json"


@dataclass(frozen=True)
class Asked:
    """The moderator in image processes; reads each verdict from a folder shared with the test."""

    labels: frozenset[str]
    folder: Path

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Empty: each threshold names a label."""
        return {}

    @property
    def reads(self) -> tuple[Path, ...]:
        """The folder of the verdict file."""
        return (self.folder,)

    def prepare(self) -> None:
        """Do nothing."""

    def judge(self, picture: object) -> Verdict:
        """Return the verdict that the test has set."""
        asked = json.loads((self.folder / FILE).read_text())
        return Verdict(
            asked["decision"],
            tuple(asked["flags"]),
            dict.fromkeys(self.labels, 0.0) | asked["scores"],
            confidence=1.0 if asked["flags"] else 0.0,
            model="mediagate.testing",
        )


class Judge:
    """Sets the verdict for all pictures that are judged from then on.

    Initially each label in the sources' thresholds has the score 0, so that every picture is allowed.
    """

    def __init__(self, labels: frozenset[str], folder: Path, *, moderated: bool) -> None:
        self.labels = labels
        """The labels in the thresholds of the gate's sources."""
        self._folder = folder
        self._moderated = moderated
        folder.mkdir(parents=True, exist_ok=True)
        self.allow()

    def allow(self) -> None:
        """Allow pictures: every label has the score 0."""
        self._write("allow", (), {})

    def score(self, **scores: float) -> None:
        """Set scores from 0 to 1 for labels, and 0 for all others; the thresholds of the source decide.

        Raises ``ValueError`` for a label without a threshold.
        """
        self._check_moderated()
        if unknown := sorted(scores.keys() - self.labels):
            known = ", ".join(sorted(self.labels)) or "none"
            raise ValueError(f"no source has a threshold for {', '.join(unknown)}; available labels: {known}")
        if wrong := [label for label, score in scores.items() if not 0 <= score <= 1]:
            raise ValueError(f"scores must be from 0 to 1: {', '.join(wrong)}")
        self._write("allow", (), scores)

    def decide(self, decision: Decision, *flags: str) -> None:
        """Decide without thresholds: ``reject``, ``review`` or ``allow``, with ``flags`` as the reasons."""
        self._check_moderated()
        self._write(decision, flags, {})

    def _check_moderated(self) -> None:
        if not self._moderated:
            raise ValueError('the gate has moderation="off"; remove that to judge pictures')

    def _write(self, decision: Decision, flags: tuple[str, ...], scores: Mapping[str, float]) -> None:
        # Replaced atomically, because an image process may be reading it.
        written = self._folder / f"{FILE}.new"
        written.write_text(json.dumps({"decision": decision, "flags": flags, "scores": scores}))
        written.replace(self._folder / FILE)
