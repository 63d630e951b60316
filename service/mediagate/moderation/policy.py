"""Moderation: the protocol of a moderator, and the policy that turns its scores into a verdict for a source.

All functions fail closed: a score that is missing or outside 0-1 raises ``ModerationFailed``, so that a broken model
never makes a picture pass.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from mediagate.config import Source
from mediagate.errors import ModerationFailed
from mediagate.values import Decision, Verdict

REJECTED = "Content moderation failed"
TO_REVIEW = "Content moderation requires human review of this image"
NO_REVIEWER = "Content moderation requires human review of this image, but no reviewer is registered"

INPUT_EDGE = 320
"""Default input edge of a moderator, in pixels."""

_STRICTNESS: tuple[Decision, ...] = ("allow", "review", "reject")


class Picture(Protocol):
    """An upright sRGB picture without alpha, the input of a moderator; sizes in pixels."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def resized(self, width: int, height: int) -> Picture:
        """Return the picture stretched to exactly this size (bilinear with antialiasing)."""
        ...

    def rgb(self) -> bytes:
        """Return ``height x width x 3`` bytes, row by row."""
        ...


class Moderator(Protocol):
    """Judges pictures in the image processes.

    It is pickled and sent to each of them, so it must not hold a session or connection before ``prepare``. A moderator
    with ``labels`` scores all of them for every picture and leaves the decision to the thresholds of the source. A
    moderator without labels decides by itself. The stricter of the two decisions counts.
    """

    @property
    def labels(self) -> frozenset[str]:
        """All labels that it scores."""
        ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Labels by the name of their group, such as ``explicit``; a group scores as high as its highest label."""
        ...

    def prepare(self) -> None:
        """Load and warm the model; called once in each image process, before ``judge``."""
        ...

    def judge(self, picture: Picture) -> Verdict:
        """Score a picture (0-1 per label); an exception fails the attempt, and the job is retried."""
        ...


@runtime_checkable
class TellsInputEdge(Protocol):
    """A moderator that declares the input size of its model, so that pictures are split into fitting parts."""

    @property
    def input_edge(self) -> int:
        """The longer edge of the model's input in pixels; pictures are reduced to twice that before ``judge``."""
        ...


def input_edge(moderator: object) -> int:
    """Return the longer edge of the model's input in pixels, by default 320.

    Raises ``ModerationFailed`` unless it is a positive integer: a picture reduced to nothing would pass.
    """
    edge = moderator.input_edge if isinstance(moderator, TellsInputEdge) else INPUT_EDGE
    if not isinstance(edge, int) or edge < 1:
        raise ModerationFailed(f"the moderator's input_edge is {edge!r}; return a positive integer, such as 320")
    return edge


class RemoteModerator(Protocol):
    """Queries a moderation service; runs in the host, because image processes have no network.

    It gets the same views as a local moderator, as newly encoded JPEGs, so nothing of the uploaded file but its pixels
    is sent. Its scores apply to the thresholds that name its labels and groups. The stricter decision of the remote and
    the local moderator counts, and a picture that the local one rejects is not sent.
    """

    @property
    def labels(self) -> frozenset[str]:
        """All labels that it scores."""
        ...

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Labels by the name of their group; a group scores as high as its highest label."""
        ...

    @property
    def timeout_s(self) -> float:
        """Timeout of one call, in seconds."""
        ...

    @property
    def max_calls_per_day(self) -> int | None:
        """Maximum calls per UTC day by all processes together; ``None``: no limit."""
        ...

    async def judge(self, jpeg: bytes) -> Verdict:
        """Score one picture (0-1 per label).

        Raises ``ModeratorUnavailable`` when the service is unavailable, after which the job waits and is retried, and
        ``ModerationFailed`` when it cannot judge this picture. Nothing is published without a verdict.
        """
        ...


def stricter(first: Verdict, second: Verdict) -> Verdict:
    """Combine the verdicts of two moderators: the stricter decision with its reason, the scores and flags of both."""
    harder = max(first, second, key=lambda verdict: _STRICTNESS.index(verdict.decision))
    models = [verdict.model for verdict in (first, second) if verdict.model]
    return replace(
        harder,
        flags=tuple(dict.fromkeys((*first.flags, *second.flags))),
        scores={**first.scores, **second.scores},
        model=" + ".join(models),
        model_hash=first.model_hash or second.model_hash,
    )


@runtime_checkable
class ReadsFiles(Protocol):
    """A moderator that declares its files; in an image process it can open only those and its modules."""

    @property
    def reads(self) -> Iterable[str | Path]:
        """Files, and folders with all their contents, such as the model's; devices are also writable."""
        ...


def reads_of(moderator: Moderator | None) -> tuple[Path, ...]:
    """Return the files that a moderator declares, and the location of its own module."""
    if moderator is None:
        return ()
    top = sys.modules.get(type(moderator).__module__.partition(".")[0])
    # An editable installation may keep it outside Python's path.
    module = [*getattr(top, "__path__", ())] or [file for file in (getattr(top, "__file__", None),) if file]
    declared = moderator.reads if isinstance(moderator, ReadsFiles) else ()
    return tuple(Path(path).absolute() for path in (*declared, *module))


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine the verdicts for the frames or backgrounds of an image.

    The result has each label's highest score, the strictest decision with its reason, and all flags. Raises
    ``ModerationFailed`` without any verdict, for a score outside 0-1, or for a label missing from some verdicts.
    """
    judged = list(verdicts)
    if not judged:
        raise ModerationFailed("the moderator returned no verdict")
    labels = judged[0].scores.keys()
    for verdict in judged:
        if unlike := sorted(labels ^ verdict.scores.keys()):
            raise ModerationFailed(f"the moderator scored {', '.join(unlike)} in only some frames of the image")
        _check(verdict)
    strictest = max(judged, key=lambda verdict: _STRICTNESS.index(verdict.decision))
    return replace(
        strictest,
        flags=tuple(dict.fromkeys(flag for verdict in judged for flag in verdict.flags)),
        scores={label: max(verdict.scores[label] for verdict in judged) for label in labels},
        confidence=max(verdict.confidence for verdict in judged),
    )


def apply_policy(verdict: Verdict, source: Source, groups: Mapping[str, frozenset[str]]) -> Verdict:
    """Return the final verdict for a source: the stricter of the decisions of the moderator and of the thresholds.

    ``flags`` names the labels and groups that reached a threshold, highest score first, then those of the moderator's
    own decision; ``confidence`` is the highest score among them. Raises ``ModerationFailed`` when a label that a
    threshold needs has no score or one outside 0-1.
    """
    _check(verdict)
    reached: dict[str, float] = {}
    decision: Decision = "allow"
    rules: tuple[tuple[Decision, Mapping[str, float]], ...] = (("review", source.review), ("reject", source.reject))
    for outcome, thresholds in rules:
        for name, threshold in thresholds.items():
            score = max(_score(label, verdict) for label in groups.get(name, (name,)))
            if score >= threshold:
                reached[name] = score
                decision = outcome
    flags = sorted(reached, key=lambda name: (-reached[name], name))
    confidence = max(reached.values(), default=0.0)
    if verdict.decision != "allow":
        flags += [flag for flag in verdict.flags if flag not in reached]
        confidence = max(confidence, verdict.confidence)
    own = _STRICTNESS.index(verdict.decision) >= _STRICTNESS.index(decision)
    decision = verdict.decision if own else decision
    return replace(
        verdict,
        decision=decision,
        flags=tuple(flags),
        confidence=confidence,
        reason=(verdict.reason if own else "") or {"allow": "", "review": TO_REVIEW, "reject": REJECTED}[decision],
    )


def count_review_as_reject(verdict: Verdict) -> Verdict:
    """Turn a review into a rejection with the reason ``NO_REVIEWER``, for a gate without a reviewer."""
    if verdict.decision != "review":
        return verdict
    return replace(verdict, decision="reject", reason=NO_REVIEWER)


def _check(verdict: Verdict) -> None:
    for label in verdict.scores:
        _score(label, verdict)
    # Negated so that NaN, which compares false with everything, fails too.
    if not 0 <= verdict.confidence <= 1:
        raise ModerationFailed(f"the moderator returned the confidence {verdict.confidence}, which is outside 0-1")


def _score(label: str, verdict: Verdict) -> float:
    score = verdict.scores.get(label)
    if score is None:
        raise ModerationFailed(f"the moderator returned no score for {label!r}, which it must score in every image")
    if not 0 <= score <= 1:
        raise ModerationFailed(f"the moderator returned the score {score} for {label!r}, which is outside 0-1")
    return float(score)
