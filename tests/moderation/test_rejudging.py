"""How published files are judged again: by which moderators and thresholds, and beyond which limits."""

from __future__ import annotations

import pytest

from mediagate import Source
from mediagate.errors import ConfigError
from mediagate.moderation import policy_of_published, together
from tests.support.moderators import Fixed

SKIN = Fixed("skin", {"nude": 0.2, "swim": 0.6}, {"explicit": frozenset({"nude"})})
BLOOD = Fixed("blood", {"gore": 0.7}, {"violent": frozenset({"gore"})})
BOTH = together(SKIN, BLOOD)
SOURCE = Source(reject={"explicit": 0.5, "violent": 0.9}, review={"swim": 0.8}, formats=("jpeg",), max_pixels=100)


def test_policy_accepts_what_was_published_under_other_limits() -> None:
    policy = policy_of_published(SOURCE, BOTH, None, None)
    assert {"webp", "gif", "heic"} <= set(policy.formats)
    assert (policy.animation, policy.original, policy.damaged) == ("keep", "keep", "refuse")
    assert min(policy.max_pixels, policy.max_animation_pixels) >= 10**9
    assert policy.max_frames >= 10**6
    assert (policy.reject, policy.review, policy.moderators) == (SOURCE.reject, SOURCE.review, None)


def test_policy_of_one_moderator_has_its_thresholds_only() -> None:
    policy = policy_of_published(SOURCE, BOTH, None, "skin")
    assert (policy.moderators, policy.reject, policy.review) == (("skin",), {"explicit": 0.5}, {"swim": 0.8})
    assert policy_of_published(SOURCE, BOTH, None, "blood").reject == {"violent": 0.9}


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (SOURCE, "gore", "no moderator of it is named 'gore'; it is judged by skin, blood"),
        (Source(reject={"explicit": 0.5}, moderators=("skin",)), "blood", "'blood'; it is judged by skin"),
        (Source(reject={"explicit": 0.5}), "blood", "no threshold of it reads a score of the moderator 'blood'"),
    ],
)
def test_policy_of_a_moderator_that_decides_nothing_is_refused(source: Source, name: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        policy_of_published(source, BOTH, None, name)
    assert message in refused.value.detail
