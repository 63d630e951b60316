"""A moderator for tests: it gives every picture the verdict that the test has asked for last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mediagate.values import Decision, Verdict

FILE = "verdict.json"


@dataclass(frozen=True)
class Asked:
    """A moderator in image processes, which reads each verdict from a folder that it shares with the test."""

    labels: frozenset[str]
    folder: Path

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """No groups: each name of a threshold is a label."""
        return {}

    @property
    def reads(self) -> tuple[Path, ...]:
        """The folder of the verdict."""
        return (self.folder,)

    def prepare(self) -> None:
        """Load nothing."""

    def judge(self, picture: object) -> Verdict:
        """Return the verdict that the test has asked for."""
        asked = json.loads((self.folder / FILE).read_text())
        return Verdict(
            asked["decision"],
            tuple(asked["flags"]),
            dict.fromkeys(self.labels, 0.0) | asked["scores"],
            confidence=1.0 if asked["flags"] else 0.0,
            model="mediagate.testing",
        )


class Judge:
    """What a test asks of the moderator: every picture that is judged from then on gets this verdict.

    At first each label that a source's thresholds name has the score 0, so that every picture is allowed.
    """

    def __init__(self, labels: frozenset[str], folder: Path, *, moderated: bool) -> None:
        self.labels = labels
        """What may be scored: the names in the thresholds of the gate's sources."""
        self._folder = folder
        self._moderated = moderated
        folder.mkdir(parents=True, exist_ok=True)
        self.allow()

    def allow(self) -> None:
        """Allow pictures: every label has the score 0."""
        self._write("allow", (), {})

    def score(self, **scores: float) -> None:
        """Give labels scores from 0 to 1, and all others 0; the thresholds of the source decide.

        Raises ``ValueError`` for a label that no threshold names.
        """
        self._check_moderated()
        if unknown := sorted(scores.keys() - self.labels):
            known = ", ".join(sorted(self.labels)) or "none"
            raise ValueError(f"no threshold of a source names {', '.join(unknown)}; those that are named: {known}")
        if wrong := [label for label, score in scores.items() if not 0 <= score <= 1]:
            raise ValueError(f"give scores from 0 to 1: {', '.join(wrong)}")
        self._write("allow", (), scores)

    def decide(self, decision: Decision, *flags: str) -> None:
        """Decide without thresholds: ``reject``, ``review`` or ``allow``, with ``flags`` as the reasons."""
        self._check_moderated()
        self._write(decision, flags, {})

    def _check_moderated(self) -> None:
        if not self._moderated:
            raise ValueError('the gate has moderation="off": it judges no pictures')

    def _write(self, decision: Decision, flags: tuple[str, ...], scores: Mapping[str, float]) -> None:
        # Renamed, because an image process may read it at this moment.
        written = self._folder / f"{FILE}.new"
        written.write_text(json.dumps({"decision": decision, "flags": flags, "scores": scores}))
        written.replace(self._folder / FILE)
