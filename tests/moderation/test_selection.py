"""The moderators that a source chooses, and the thresholds that it may then have."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mediagate import Source, Verdict
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.moderation import judged_remotely, judging, members_of, selection_problems, together
from tests.support.moderators import Fixed

SKIN = Fixed("skin", {"nude": 0.2, "swim": 0.6}, {"explicit": frozenset({"nude"})})
BLOOD = Fixed("blood", {"gore": 0.7}, {"violent": frozenset({"gore"})})
BOTH = together(SKIN, BLOOD)


class Service:
    """A remote moderator, of which only the names are asked here."""

    name = "service"
    labels = frozenset({"spam"})
    groups: Mapping[str, frozenset[str]] = {}
    timeout_s = 1.0
    max_calls_per_day = None

    async def judge(self, jpeg: bytes) -> Verdict:
        raise NotImplementedError


def chosen(*names: str, reject: Mapping[str, float] = {}) -> Source:
    return Source(reject=reject, moderators=names or None)


def test_source_is_judged_by_all_moderators_by_default() -> None:
    assert judging(BOTH, chosen()) is BOTH
    assert judging(SKIN, chosen()) is SKIN
    assert judging(None, chosen()) is None
    assert judged_remotely(chosen(), Service())


def test_source_is_judged_by_the_moderators_that_it_names() -> None:
    assert list(members_of(judging(BOTH, chosen("blood")))) == ["blood"]
    assert judging(BOTH, chosen("blood", "skin")) is BOTH
    assert judging(SKIN, chosen("skin")) is SKIN
    assert judging(BOTH, chosen("service")) is None
    assert judged_remotely(chosen("service", "skin"), Service())
    assert not judged_remotely(chosen("skin"), Service())


def test_source_names_at_least_one_moderator() -> None:
    with pytest.raises(ConfigError, match=r"Source\.moderators"):
        Source(moderators=())


def problems(source: Source, remote: Service | None = None) -> list[str]:
    return selection_problems({"post": source}, BOTH, remote)


def test_thresholds_for_every_moderator_have_no_problems() -> None:
    assert problems(chosen(reject={"explicit": 0.5, "gore": 0.5})) == []
    assert problems(chosen("skin", reject={"swim": 0.5})) == []
    assert problems(chosen("service", reject={"spam": 0.5}), Service()) == []
    assert problems(chosen("skin", reject={"swim": 0.5}), Service()) == []


def test_unknown_moderator_is_a_problem_that_lists_the_known_ones() -> None:
    (problem,) = problems(chosen("skin", "bloot", reject={"nude": 0.5}), Service())
    assert problem == "sources['post'].moderators: no moderator is named 'bloot'; the gate has skin, blood, service"


def test_unknown_moderators_of_several_sources_are_all_told() -> None:
    sources = {"post": chosen("bloot", reject={"nude": 0.5}), "avatar": chosen("skim", reject={"nude": 0.5})}
    told = " ".join(selection_problems(sources, BOTH, None))
    assert "'bloot'" in told
    assert "'skim'" in told


def test_picture_whose_source_names_only_unknown_moderators_fails() -> None:
    assert judging(BOTH, chosen("skin"), required=True) is not None
    with pytest.raises(ModerationFailed, match="judged by service, which the gate does not have"):
        judging(BOTH, chosen("service"), required=True)


def test_threshold_for_a_moderator_that_is_left_out_is_a_problem() -> None:
    (problem,) = problems(chosen("skin", reject={"nude": 0.5, "gore": 0.5}))
    assert problem.startswith("sources['post'].reject: 'gore' is neither a label nor a group of the moderator")


def test_moderator_that_no_threshold_reads_is_a_problem() -> None:
    (problem,) = problems(chosen(reject={"nude": 0.5}))
    assert problem == (
        "sources['post']: no threshold reads a score of the moderator 'blood'; set one, such as "
        'Source(reject={"violent": 0.5}), or name the others alone in moderators=…'
    )
    assert len(problems(chosen(reject={"nude": 0.5}), Service())) == 2


def test_moderator_without_groups_that_no_threshold_reads_is_shown_with_a_label() -> None:
    (problem,) = selection_problems(
        {"post": chosen(reject={"nude": 0.5})}, together(SKIN, Fixed("plain", {"dull": 0})), None
    )
    assert 'Source(reject={"dull": 0.5})' in problem


def test_group_that_spans_moderators_reads_all_of_them() -> None:
    drawn = Fixed("drawn", {"nude": 0.9}, {"explicit": frozenset({"nude"})})
    named = Fixed("named", {"explicit": 0.9})
    source = Source(reject={"explicit": 0.5})
    assert selection_problems({"post": source}, together(SKIN, drawn, named), None) == []


def test_source_without_a_threshold_is_one_problem() -> None:
    (problem,) = problems(chosen())
    assert "without a threshold every picture would be published" in problem


def test_remote_moderator_needs_a_name_of_its_own() -> None:
    with pytest.raises(ConfigError, match="are named service"):
        selection_problems({"post": chosen()}, Fixed("service", {"a": 0.1}), Service())
