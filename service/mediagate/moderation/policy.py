"""The policy that turns the scores of moderators into a verdict for a source.

All functions fail closed: a score that is missing or outside 0-1 raises ``ModerationFailed``, so that a broken model
never makes a picture pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mediagate.config import Source
from mediagate.errors import ModerationFailed
from mediagate.moderation.labels import Scored
from mediagate.moderation.protocols import exclusive_of
from mediagate.values import Decision, Verdict

REJECTED = "Content moderation failed"
TO_REVIEW = "Content moderation requires human review of this image"
NO_REVIEWER = "Content moderation requires human review of this image, but no reviewer is registered"

_STRICTNESS: tuple[Decision, ...] = ("allow", "review", "reject")


def stricter(first: Verdict, second: Verdict) -> Verdict:
    """Combine the verdicts of two moderators: the stricter decision with its reason, the rest of both."""
    harder = max(first, second, key=lambda verdict: _STRICTNESS.index(verdict.decision))
    return replace(
        harder,
        flags=tuple(dict.fromkeys((*first.flags, *second.flags))),
        scores={**first.scores, **second.scores},
        model=" + ".join(filter(None, (first.model, second.model))),
        model_hash=" + ".join(filter(None, (first.model_hash, second.model_hash))),
        models={**first.models, **second.models},
        group_scores={
            group: max(verdict.group_scores.get(group, 0.0) for verdict in (first, second))
            for group in {**first.group_scores, **second.group_scores}
        },
    )


def with_group_scores(verdict: Verdict, moderator: Scored) -> Verdict:
    """Return a verdict on one picture with the score of each group.

    A group scores as high as its highest label, where labels that exclude each other count as one, with their sum.
    A group with a label that has no score has none either. Raises ``ModerationFailed`` for a score outside 0-1.
    """
    _check(verdict)
    exclusive = exclusive_of(moderator)
    scores = {
        group: max(_together(labels & one, verdict) for one in (*exclusive, *map(_alone, labels)))
        for group, labels in moderator.groups.items()
        if labels and labels <= verdict.scores.keys()
    }
    return replace(verdict, group_scores=scores)


def _alone(label: str) -> frozenset[str]:
    return frozenset({label})


def _together(labels: frozenset[str], verdict: Verdict) -> float:
    # Rounding may carry a sum of probabilities beyond 1.
    return min(1.0, sum(verdict.scores[label] for label in labels))


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine the verdicts for the frames or backgrounds of an image.

    The result has the highest score of each label and group, the strictest decision with its reason, and all flags.
    Raises ``ModerationFailed`` without any verdict, for a score outside 0-1, or for a label or group that some verdicts
    lack.
    """
    judged = list(verdicts)
    if not judged:
        raise ModerationFailed("the moderator returned no verdict")
    labels, groups = judged[0].scores.keys(), judged[0].group_scores.keys()
    for verdict in judged:
        if unlike := sorted((labels ^ verdict.scores.keys()) | (groups ^ verdict.group_scores.keys())):
            raise ModerationFailed(f"the moderator scored {', '.join(unlike)} in only some frames of the image")
        _check(verdict)
    strictest = max(judged, key=lambda verdict: _STRICTNESS.index(verdict.decision))
    return replace(
        strictest,
        flags=tuple(dict.fromkeys(flag for verdict in judged for flag in verdict.flags)),
        scores={label: max(verdict.scores[label] for verdict in judged) for label in labels},
        confidence=max(verdict.confidence for verdict in judged),
        group_scores={group: max(verdict.group_scores[group] for verdict in judged) for group in groups},
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
            score = verdict.group_scores.get(name) if name in groups else None
            if score is None:
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
    for group, score in verdict.group_scores.items():
        if not 0 <= score <= 1:
            raise ModerationFailed(f"the group {group!r} has the score {score}, which is outside 0-1")
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
