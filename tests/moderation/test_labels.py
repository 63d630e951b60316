"""The names that thresholds may use, when several moderators score a picture."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mediagate import Source
from mediagate.errors import ConfigError
from mediagate.moderation import Names, names_of, policy_problems, thresholds_for

SKIN = Names(frozenset({"nude", "swim"}), {"explicit": frozenset({"nude"})})
BLOOD = Names(frozenset({"gore"}), {"violent": frozenset({"gore"})})


def test_names_of_moderators_are_those_of_all() -> None:
    names = names_of(SKIN, BLOOD)
    assert names.labels == {"nude", "swim", "gore"}
    assert names.groups == {"explicit": frozenset({"nude"}), "violent": frozenset({"gore"})}
    assert names_of() == Names(frozenset(), {})


@pytest.mark.parametrize(
    ("other", "both"),
    [
        (Names(frozenset({"swim", "nude"}), {}), "nude, swim"),
        (Names(frozenset({"explicit"}), {}), "explicit"),
        (Names(frozenset(), {"nude": frozenset()}), "nude"),
    ],
)
def test_names_of_two_moderators_must_differ(other: Names, both: str) -> None:
    with pytest.raises(ConfigError, match=f"two moderators score {both}; rename"):
        names_of(SKIN, BLOOD, other)


def test_group_of_several_moderators_has_the_labels_of_all() -> None:
    drawn = Names(frozenset({"hentai"}), {"explicit": frozenset({"hentai"})})
    assert names_of(SKIN, BLOOD, drawn).groups == {
        "explicit": frozenset({"nude", "hentai"}),
        "violent": frozenset({"gore"}),
    }


def test_thresholds_for_a_moderator_are_those_that_it_can_score() -> None:
    source = Source(
        reject={"nude": 0.9, "explicit": 0.8, "gore": 0.7},
        review={"swim": 0.6, "violent": 0.5},
        ttl=timedelta(days=1),
    )
    for names, reject, review in (
        (SKIN, {"nude": 0.9, "explicit": 0.8}, {"swim": 0.6}),
        (BLOOD, {"gore": 0.7}, {"violent": 0.5}),
    ):
        kept = thresholds_for(source, names)
        assert (kept.reject, kept.review) == (reject, review)
        assert kept.ttl == timedelta(days=1)


def test_policy_problems_name_every_source_and_field() -> None:
    sources = {
        "avatar": Source(reject={"nud": 0.5}, review={"swimm": 0.5}),
        "post": Source(),
        "story": Source(review={"swim": 0.3}),
    }
    found = policy_problems(sources, SKIN)
    assert [problem.partition(":")[0] for problem in found] == [
        "sources['avatar'].reject",
        "sources['avatar'].review",
        "sources['post']",
    ]


def test_policy_problems_spell_names_in_any_case_and_list_all() -> None:
    (problem,) = policy_problems({"a": Source(reject={"NUDES": 0.5})}, names_of(SKIN, BLOOD))
    assert problem == (
        "sources['a'].reject: 'NUDES' is neither a label nor a group of the moderator; did you mean 'nude'? "
        "Groups: explicit, violent; labels: gore, nude, swim"
    )


def test_policy_problems_say_that_there_is_no_group() -> None:
    (problem,) = policy_problems({"a": Source(reject={"xyz": 0.5})}, Names(frozenset({"nude"}), {}))
    assert problem == (
        "sources['a'].reject: 'xyz' is neither a label nor a group of the moderator; Groups: none; labels: nude"
    )


def test_policy_problems_suggest_a_label_where_there_is_no_group() -> None:
    (problem,) = policy_problems({"a": Source()}, Names(frozenset({"zebra", "nude"}), {}))
    assert 'such as Source(reject={"nude": 0.5})' in problem


@pytest.mark.parametrize(("review", "problems"), [(0.5, 0), (0.51, 1)])
def test_policy_problems_are_reviews_above_a_rejection(review: float, problems: int) -> None:
    assert len(policy_problems({"a": Source(reject={"nude": 0.5}, review={"nude": review})}, SKIN)) == problems


def test_policy_problems_name_a_groups_unknown_labels_in_order() -> None:
    names = Names(frozenset({"nude"}), {"odd": frozenset({"violet", "amber", "nude"})})
    (problem,) = policy_problems({"a": Source(reject={"nude": 0.5})}, names)
    assert problem == "moderator: group 'odd' has labels that are never scored: amber, violet"


def test_policy_problems_compare_unknown_names_with_themselves_alone() -> None:
    found = policy_problems({"a": Source(reject={"nudd": 0.1, "nude": 0.2}, review={"swimm": 0.9, "nudd": 0.9})}, SKIN)
    assert [problem.partition(":")[0] for problem in found] == [
        "sources['a'].reject",
        "sources['a'].review",
        "sources['a'].review",
        "sources['a'].review",
    ]
    assert found[-1].startswith(
        "sources['a'].review: 'nudd' has a review threshold of 0.9, but 'nudd' is already rejected"
    )
    assert found[-1].endswith("lower the review threshold or remove it")


def test_policy_problems_suggest_the_three_nearest_names() -> None:
    names = Names(frozenset({"nude1", "nude2", "nude3", "nude4"}), {})
    (problem,) = policy_problems({"a": Source(reject={"nude": 0.5})}, names)
    assert "; did you mean 'nude4' or 'nude3' or 'nude2'? " in problem


def test_policy_problems_suggest_a_name_of_which_half_is_right() -> None:
    (problem,) = policy_problems({"a": Source(reject={"abcd": 0.5})}, Names(frozenset({"abxy", "axyz"}), {}))
    assert "did you mean 'abxy'? " in problem
