"""Moderation policy: thresholds, merged verdicts of frames, and configuration problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mediagate import MODERATOR, MediaGate, plugin
from mediagate.config import Settings, Source
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.moderation import Moderator, Picture, apply_policy, count_review_as_reject, merge, policy_problems
from mediagate.values import Decision, Verdict

GROUPS = {"explicit": frozenset({"porn", "hentai"})}
SCORES = {"porn": 0.2, "hentai": 0.7, "sexy": 0.4, "drawing": 0.1}


@dataclass(frozen=True)
class Scorer:
    """A moderator that scores the shares of red, green and blue in a picture."""

    labels: frozenset[str] = frozenset({"red", "green", "blue"})
    groups: Mapping[str, frozenset[str]] = field(default_factory=lambda: {"warm": frozenset({"red", "green"})})

    def prepare(self) -> None:
        pass

    def judge(self, picture: Picture) -> Verdict:
        pixels = picture.rgb()
        channels = {name: pixels[i::3] for i, name in enumerate(("red", "green", "blue"))}
        return Verdict(scores={name: sum(channels[name]) / (sum(pixels) or 1) for name in self.labels})


def policy(
    verdict: Verdict | None = None, *, reject: Mapping[str, float] = {}, review: Mapping[str, float] = {}
) -> Verdict:
    judged = verdict or Verdict(scores=SCORES, model="m", model_hash="h")
    return apply_policy(judged, Source(reject=reject, review=review), GROUPS)


def test_label_rejects_from_its_threshold_on() -> None:
    assert policy(reject={"sexy": 0.4}).decision == "reject"
    assert policy(reject={"sexy": 0.41}).decision == "allow"


def test_group_scores_as_high_as_its_highest_label() -> None:
    verdict = policy(reject={"explicit": 0.7})
    assert (verdict.decision, verdict.flags, verdict.confidence) == ("reject", ("explicit",), 0.7)
    assert verdict.reason == "Content moderation failed"
    assert (verdict.model, verdict.model_hash, verdict.scores) == ("m", "h", SCORES)


def test_flags_are_the_policys_names_ordered_by_score() -> None:
    verdict = policy(reject={"drawing": 0.05, "explicit": 0.5}, review={"sexy": 0.3, "porn": 0.9})
    assert verdict.flags == ("explicit", "sexy", "drawing")
    assert verdict.confidence == 0.7


def test_review_decision_has_flags_confidence_and_reason() -> None:
    verdict = policy(review={"sexy": 0.3}, reject={"sexy": 0.9})
    assert (verdict.decision, verdict.flags, verdict.confidence) == ("review", ("sexy",), 0.4)
    assert "human review" in verdict.reason


def test_scores_below_all_thresholds_are_allowed_without_flags() -> None:
    verdict = policy(reject={"explicit": 0.9}, review={"sexy": 0.5})
    assert (verdict.decision, verdict.flags, verdict.confidence, verdict.reason) == ("allow", (), 0.0, "")


@pytest.mark.parametrize(
    ("own", "threshold", "decision"),
    [
        ("reject", 0.9, "reject"),
        ("review", 0.9, "review"),
        ("review", 0.1, "reject"),
        ("allow", 0.1, "reject"),
        ("allow", 0.9, "allow"),
    ],
)
def test_stricter_decision_of_moderator_and_policy_wins(own: Decision, threshold: float, decision: Decision) -> None:
    verdict = Verdict(decision=own, scores=SCORES, flags=("own",), confidence=0.6)
    assert policy(verdict, reject={"sexy": threshold}).decision == decision


def test_moderators_own_rejection_keeps_flags_confidence_and_reason() -> None:
    verdict = policy(Verdict(decision="reject", flags=("known_image",), confidence=0.95, reason="On the list"))
    assert (verdict.flags, verdict.confidence, verdict.reason) == (("known_image",), 0.95, "On the list")


def test_moderators_flags_are_discarded_when_it_allowed() -> None:
    verdict = policy(Verdict(scores=SCORES, flags=("note",), confidence=0.99), reject={"sexy": 0.4})
    assert (verdict.flags, verdict.confidence) == (("sexy",), 0.4)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1.01, -0.01])
def test_score_outside_0_to_1_raises_moderation_failed(score: float) -> None:
    for label in ("porn", "drawing"):
        broken = Verdict(scores={**SCORES, label: score})
        with pytest.raises(ModerationFailed, match=label):
            policy(broken, reject={"explicit": 0.5})
        with pytest.raises(ModerationFailed, match=label):
            merge([Verdict(scores=SCORES), broken])
    with pytest.raises(ModerationFailed, match="confidence"):
        policy(Verdict(scores=SCORES, confidence=score))


def test_missing_score_raises_moderation_failed() -> None:
    with pytest.raises(ModerationFailed, match="'hentai'"):
        policy(Verdict(scores={"porn": 0.1}), reject={"explicit": 0.5})
    with pytest.raises(ModerationFailed, match="'sexy'"):
        policy(Verdict(), review={"sexy": 0.5})


def test_frames_merge_to_highest_scores_and_strictest_decision() -> None:
    merged = merge(
        [
            Verdict(scores={"a": 0.1, "b": 0.9}, flags=("x",), confidence=0.2, model="m", model_hash="h"),
            Verdict("reject", ("y", "x"), {"a": 0.5, "b": 0.3}, 0.5, "m", "h", "because"),
            Verdict("review", ("z",), {"a": 0.2, "b": 0.2}, 0.1, "m", "h", "perhaps"),
        ]
    )
    assert merged == Verdict("reject", ("x", "y", "z"), {"a": 0.5, "b": 0.9}, 0.5, "m", "h", "because")


def test_merge_of_single_verdict_returns_it() -> None:
    verdict = Verdict("review", ("x",), SCORES, 0.7, "m", "h", "look")
    assert merge(iter([verdict])) == verdict


def test_merge_requires_verdicts_over_the_same_labels() -> None:
    with pytest.raises(ModerationFailed, match="no verdict"):
        merge([])
    with pytest.raises(ModerationFailed, match="hentai"):
        merge([Verdict(scores={"porn": 0.1, "hentai": 0.1}), Verdict(scores={"porn": 0.1})])


def test_review_without_reviewer_is_rejected_with_a_reason() -> None:
    verdict = count_review_as_reject(policy(review={"sexy": 0.3}))
    assert (verdict.decision, verdict.flags, verdict.confidence) == ("reject", ("sexy",), 0.4)
    assert "review" in verdict.reason
    assert "no reviewer" in verdict.reason
    for other in (Verdict(), policy(reject={"sexy": 0.1})):
        assert count_review_as_reject(other) == other


def problems(
    moderator: Moderator | None = None, *, reject: Mapping[str, float] = {}, review: Mapping[str, float] = {}
) -> list[str]:
    return policy_problems({"avatar": Source(reject=reject, review=review)}, moderator or Scorer())


def test_policy_of_known_names_has_no_problems() -> None:
    assert problems(reject={"warm": 0.8, "blue": 0.5}, review={"warm": 0.8, "red": 0.7}) == []


def test_unknown_name_is_a_problem_that_suggests_the_nearest() -> None:
    (problem,) = problems(reject={"Wram": 0.5, "blue": 0.5})
    assert problem.startswith("sources['avatar'].reject: 'Wram' is neither a label nor a group")
    assert "did you mean 'warm'?" in problem
    assert "labels: blue, green, red" in problem
    (problem,) = problems(review={"xyzzy": 0.5})
    assert "sources['avatar'].review" in problem
    assert "did you mean" not in problem


def test_source_without_thresholds_is_a_problem() -> None:
    found = policy_problems({"avatar": Source(), "post": Source(reject={"red": 0.5})}, Scorer())
    assert len(found) == 1
    assert found[0].startswith("sources['avatar']")
    assert 'Source(reject={"warm": 0.5})' in found[0]


def test_moderator_without_labels_accepts_no_thresholds() -> None:
    decider = Scorer(labels=frozenset(), groups={})
    assert problems(decider) == []
    (problem,) = problems(decider, reject={"red": 0.5})
    assert "decides by itself" in problem


@pytest.mark.parametrize(
    ("review", "reject"),
    [({"red": 0.9}, {"red": 0.5}), ({"red": 0.9}, {"warm": 0.5}), ({"warm": 0.9}, {"warm": 0.5})],
    ids=["label", "label of a rejected group", "group"],
)
def test_unreachable_review_threshold_is_a_problem(review: dict[str, float], reject: dict[str, float]) -> None:
    (problem,) = problems(review=review, reject=reject)
    assert "review threshold of 0.9" in problem
    assert "rejected from 0.5" in problem


def test_group_review_threshold_may_exceed_the_reject_threshold_of_a_label() -> None:
    assert problems(review={"warm": 0.9}, reject={"red": 0.5}) == []


@dataclass(frozen=True)
class Edged(Scorer):
    input_edge: int = 224


@plugin("edged")
async def edged(gate: MediaGate, *, edge: int) -> None:
    gate.decorate(MODERATOR, Edged(input_edge=edge))


@pytest.mark.anyio
async def test_input_edge_of_zero_stops_the_boot(tmp_path: Path) -> None:
    gate = MediaGate(sources={"avatar": Source(reject={"red": 0.5})}, settings=Settings(data_dir=tmp_path))
    gate.register(edged, edge=0)
    with pytest.raises(ConfigError, match="input_edge is 0; return a positive integer"):
        await gate.open()


def test_moderator_groups_must_consist_of_its_labels() -> None:
    groups = {"red": frozenset({"blue"}), "none": frozenset[str](), "odd": frozenset({"violet"})}
    found = problems(Scorer(groups=groups), reject={"blue": 0.5})
    assert len(found) == 3
    assert "both a label and a group" in found[0]
    assert "empty" in found[1]
    assert "violet" in found[2]
