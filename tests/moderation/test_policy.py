"""Moderation policy: thresholds, merged verdicts of frames, and configuration problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mediagate import MODERATOR, MediaGate, plugin
from mediagate.config import Settings, Source
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.moderation import (
    Moderator,
    Picture,
    apply_policy,
    count_review_as_reject,
    input_edge,
    merge,
    policy_problems,
    reads_of,
    stricter,
    with_group_scores,
)
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


def test_stricter_takes_decision_reason_and_confidence_of_the_harder_verdict() -> None:
    first = Verdict("review", ("x", "y"), {"a": 0.3}, 0.9, "one", "h1", "look")
    second = Verdict("reject", ("y", "z"), {"b": 0.4}, 0.4, "two", "h2", "no")
    both = Verdict("reject", ("x", "y", "z"), {"a": 0.3, "b": 0.4}, 0.4, "one + two", "h1 + h2", "no")
    assert stricter(first, second) == both
    turned = stricter(second, first)
    assert (turned.decision, turned.reason, turned.confidence) == ("reject", "no", 0.4)
    assert (turned.flags, turned.model, turned.model_hash) == (("y", "z", "x"), "two + one", "h2 + h1")


def test_stricter_of_equals_is_the_first() -> None:
    assert stricter(Verdict("reject", reason="first"), Verdict("reject", reason="second")).reason == "first"


def test_stricter_names_the_models_that_have_a_name() -> None:
    both = stricter(Verdict(), Verdict(model="two", model_hash="h2"))
    assert (both.model, both.model_hash) == ("two", "h2")


@pytest.mark.parametrize("order", [("allow", "review"), ("review", "reject"), ("allow", "reject")])
def test_stricter_orders_allow_review_reject(order: tuple[Decision, Decision]) -> None:
    milder, harder = order
    assert stricter(Verdict(milder), Verdict(harder)).decision == harder
    assert merge([Verdict(harder), Verdict(milder)]).decision == harder


@pytest.mark.parametrize("edge", [1, 320, 4096])
def test_input_edge_is_what_the_moderator_says(edge: int) -> None:
    assert input_edge(Edged(input_edge=edge)) == edge
    assert input_edge(Scorer()) == 320


@pytest.mark.parametrize("edge", [0, -1, 320.0, "320", None])
def test_input_edge_must_be_a_number_of_pixels(edge: Any) -> None:
    with pytest.raises(ModerationFailed, match="input_edge is"):
        input_edge(Edged(input_edge=edge))


@dataclass(frozen=True)
class Reader(Scorer):
    reads: tuple[str | Path, ...] = ()


def test_reads_of_a_moderator_are_its_files_and_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "one_file_model.py").write_text("class Model:\n    reads = ('weights.onnx',)\n")
    folder = tmp_path / "model_folder"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "inner.py").write_text("class Model: ...\n")
    one_file, inner = import_module("one_file_model"), import_module("model_folder.inner")
    assert reads_of(one_file.Model()) == (tmp_path / "weights.onnx", tmp_path / "one_file_model.py")
    assert reads_of(inner.Model()) == (folder,)
    assert reads_of(None) == ()


def test_reads_of_a_moderator_keep_their_order(tmp_path: Path) -> None:
    assert reads_of(Reader(reads=(tmp_path / "b", str(tmp_path / "a"))))[:2] == (tmp_path / "b", tmp_path / "a")


def test_reads_of_a_moderator_of_the_main_module_without_a_file_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scorer, "__module__", "nowhere")
    assert reads_of(Scorer()) == ()


def test_apply_policy_keeps_the_moderators_reason_only_for_its_own_decision() -> None:
    milder = Verdict("review", scores=SCORES, reason="look")
    assert policy(milder, reject={"sexy": 0.1}).reason == "Content moderation failed"
    assert policy(milder, review={"sexy": 0.1}).reason == "look"
    assert policy(Verdict("review", scores=SCORES)).reason == "Content moderation requires human review of this image"
    assert policy(Verdict("reject", scores=SCORES)).reason == "Content moderation failed"


def test_apply_policy_puts_the_moderators_flags_last_and_each_once() -> None:
    verdict = Verdict("review", ("sexy", "known"), SCORES, 0.6)
    judged = policy(verdict, reject={"drawing": 0.1, "sexy": 0.4})
    assert (judged.flags, judged.confidence) == (("sexy", "drawing", "known"), 0.6)


def test_apply_policy_orders_equal_scores_by_name() -> None:
    judged = apply_policy(Verdict(scores={"b": 0.5, "a": 0.5}), Source(reject={"b": 0.1, "a": 0.1}), {})
    assert judged.flags == ("a", "b")


@pytest.mark.parametrize("edge", [0, 1])
def test_apply_policy_takes_scores_from_0_to_1(edge: int) -> None:
    judged = apply_policy(Verdict(scores={"a": edge}, confidence=edge), Source(reject={"a": 1.0}), {})
    assert judged.decision == ("reject" if edge else "allow")


def test_merge_takes_the_highest_confidence_of_all_verdicts() -> None:
    assert merge([Verdict("reject", confidence=0.3), Verdict("allow", confidence=0.8)]).confidence == 0.8


@dataclass(frozen=True)
class Softmax(Scorer):
    """A moderator whose labels exclude each other."""

    labels: frozenset[str] = frozenset(SCORES)
    groups: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: GROUPS | {"sexual": GROUPS["explicit"] | {"sexy"}}
    )
    exclusive: tuple[frozenset[str], ...] = (frozenset({"porn", "hentai", "drawing"}),)


def test_group_scores_add_labels_that_exclude_each_other() -> None:
    graded = with_group_scores(Verdict(scores={"porn": 0.3, "hentai": 0.25, "sexy": 0.9, "drawing": 0.1}), Softmax())
    assert graded.group_scores == {"explicit": pytest.approx(0.55), "sexual": 0.9}
    assert apply_policy(graded, Source(reject={"explicit": 0.5}), GROUPS).confidence == pytest.approx(0.55)
    assert apply_policy(graded, Source(reject={"explicit": 0.6}), GROUPS).decision == "allow"


def test_group_scores_are_maxima_without_exclusive_labels() -> None:
    graded = with_group_scores(Verdict(scores={"red": 0.3, "green": 0.4, "blue": 0.1}), Scorer())
    assert graded.group_scores == {"warm": 0.4}


def test_group_scores_sum_to_at_most_1() -> None:
    graded = with_group_scores(Verdict(scores={**SCORES, "porn": 0.6, "hentai": 0.4 + 1e-9}), Softmax())
    assert graded.group_scores["explicit"] == 1.0


def test_group_of_all_labels_has_a_score() -> None:
    assert with_group_scores(Verdict(scores={"porn": 0.3, "hentai": 0.25}), Softmax()).group_scores == {
        "explicit": 0.55
    }


def test_group_score_may_be_1() -> None:
    certain = Verdict(scores=SCORES, group_scores={"explicit": 1.0})
    assert policy(certain, reject={"explicit": 1.0}).decision == "reject"


def test_label_with_the_name_of_a_foreign_group_has_its_own_score() -> None:
    judged = Verdict(scores=SCORES, group_scores={"sexy": 1.0})
    assert policy(judged, reject={"sexy": 0.5}).decision == "allow"


def test_group_without_all_scores_has_none_and_fails_where_a_threshold_needs_it() -> None:
    graded = with_group_scores(Verdict(scores={"porn": 0.3}), Softmax())
    assert graded.group_scores == {}
    with pytest.raises(ModerationFailed, match="'hentai'"):
        apply_policy(graded, Source(reject={"explicit": 0.5}), GROUPS)


@pytest.mark.parametrize("score", [math.nan, 1.01, -0.01])
def test_group_score_outside_0_to_1_raises_moderation_failed(score: float) -> None:
    with pytest.raises(ModerationFailed, match="'explicit'"):
        policy(Verdict(scores=SCORES, group_scores={"explicit": score}), reject={"explicit": 0.5})


def test_merge_takes_the_highest_sum_and_not_the_sum_of_the_highest() -> None:
    frames = [{"porn": 0.4, "hentai": 0.0}, {"porn": 0.0, "hentai": 0.4}, {"porn": 0.25, "hentai": 0.25}]
    graded = [
        with_group_scores(Verdict(scores={"sexy": 0.0, "drawing": 0.0, **scores}), Softmax()) for scores in frames
    ]
    merged = merge(graded)
    assert merged.group_scores["explicit"] == 0.5
    assert (merged.scores["porn"], merged.scores["hentai"]) == (0.4, 0.4)
    with pytest.raises(ModerationFailed, match="explicit"):
        merge([graded[0], Verdict(scores=graded[1].scores)])


def test_stricter_takes_the_higher_score_of_each_group() -> None:
    first = Verdict(group_scores={"explicit": 0.2, "violent": 0.3})
    second = Verdict(group_scores={"explicit": 0.4, "spam": 0.1})
    assert stricter(first, second).group_scores == {"explicit": 0.4, "violent": 0.3, "spam": 0.1}
