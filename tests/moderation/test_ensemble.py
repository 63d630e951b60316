"""Several moderators as one: names of labels and groups, scores, decisions, failures, and what they declare."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediagate import Verdict
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.images.pixels.picture import PixelPicture
from mediagate.moderation import (
    Picture,
    input_edge,
    members_of,
    name_of,
    reads_of,
    smallest_input_edge,
    together,
    with_group_scores,
)
from tests.support.moderators import Fixed, Scripted

PICTURE = PixelPicture(Image.new("RGB", (40, 30)))
SKIN = Fixed("skin", {"nude": 0.2, "swim": 0.6}, {"explicit": frozenset({"nude"})}, input_edge=224)
BLOOD = Fixed("blood", {"gore": 0.7, "calm": 0.3}, {"violent": frozenset({"gore"})}, input_edge=640)
DRAWN = Fixed("drawn", {"nude": 0.9, "calm": 0.1}, {"explicit": frozenset({"nude"})})


def test_ensemble_has_the_scores_models_and_hashes_of_all() -> None:
    verdict = together(SKIN, BLOOD).judge(PICTURE)
    assert verdict.scores == {"nude": 0.2, "swim": 0.6, "gore": 0.7, "calm": 0.3}
    assert verdict.models == {"skin": "skin-hash", "blood": "blood-hash"}
    assert (verdict.model, verdict.model_hash) == ("skin.onnx + blood.onnx", "skin-hash + blood-hash")


def test_ensemble_prefixes_only_labels_that_clash() -> None:
    ensemble = together(together(SKIN, BLOOD), DRAWN)
    assert ensemble.labels == {"skin/nude", "swim", "gore", "blood/calm", "drawn/nude", "drawn/calm"}
    assert ensemble.judge(PICTURE).scores == {
        "skin/nude": 0.2,
        "swim": 0.6,
        "gore": 0.7,
        "blood/calm": 0.3,
        "drawn/nude": 0.9,
        "drawn/calm": 0.1,
    }


def test_ensemble_of_one_keeps_its_labels() -> None:
    odd = Fixed("odd", {"same": 0.5}, {"same": frozenset({"same"})})
    assert together(odd).labels == {"same"}
    assert together(SKIN).groups == SKIN.groups
    assert together(SKIN).judge(PICTURE).models == {"skin": "skin-hash"}


def test_ensemble_groups_span_models() -> None:
    assert together(SKIN, BLOOD, DRAWN).groups == {
        "explicit": frozenset({"skin/nude", "drawn/nude"}),
        "violent": frozenset({"gore"}),
    }


def test_label_with_the_name_of_anothers_group_joins_the_group() -> None:
    ensemble = together(SKIN, Fixed("other", {"explicit": 0.4, "fine": 0.6}))
    assert ensemble.labels == {"nude", "swim", "other/explicit", "fine"}
    assert ensemble.groups == {"explicit": frozenset({"nude", "other/explicit"})}


def test_part_of_an_ensemble_keeps_the_names() -> None:
    part = together(SKIN, BLOOD, DRAWN).part("drawn", "blood")
    assert part.labels == {"gore", "blood/calm", "drawn/nude", "drawn/calm"}
    assert part.groups == {"explicit": frozenset({"drawn/nude"}), "violent": frozenset({"gore"})}
    assert part.judge(PICTURE).models == {"blood": "blood-hash", "drawn": "drawn-hash"}


def test_ensemble_decides_as_its_strictest_member() -> None:
    listed = Fixed("listed", {}, decision="reject")
    unsure = Fixed("unsure", {}, decision="review")
    verdict = together(SKIN, unsure, listed).judge(PICTURE)
    assert (verdict.decision, verdict.flags) == ("reject", ("unsure", "listed"))


def test_ensemble_fails_when_a_member_fails_and_names_it() -> None:
    with pytest.raises(ModerationFailed, match="blood: numbers that are not finite"):
        together(SKIN, Fixed("blood", {"gore": 0.1}, fails="numbers that are not finite")).judge(PICTURE)


class Looking(Fixed):
    """Scores how many values the picture has."""

    def judge(self, picture: Picture) -> Verdict:
        return Verdict(scores={"large": len(picture.rgb()) / 10_000})


def test_ensemble_shows_the_picture_to_each_member() -> None:
    verdict = together(SKIN, Looking("looking", {"large": 0.0})).judge(PICTURE)
    assert verdict.scores["large"] == 40 * 30 * 3 / 10_000


class Talkative(Fixed):
    """Scores a label that it does not declare."""

    @property
    def labels(self) -> frozenset[str]:
        return frozenset()


def test_undeclared_label_that_another_scores_fails() -> None:
    with pytest.raises(ModerationFailed, match="two moderators scored nude"):
        together(SKIN, Talkative("sly", {"nude": 0.0})).judge(PICTURE)


def test_moderators_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'are named skin; give each its own name, .*name="gore"'):
        together(together(SKIN, BLOOD), Fixed("skin", {"other": 0.1}))


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a" * 65, 3])
def test_name_of_a_moderator_is_short_and_plain(name: Any) -> None:
    with pytest.raises(ConfigError, match="a moderator is named"):
        name_of(Fixed(name, {}))


def test_name_of_a_moderator_is_that_of_its_class_by_default() -> None:
    assert name_of(Scripted()) == "Scripted"
    assert list(members_of(Scripted())) == ["Scripted"]
    assert members_of(None) == {}


def test_ensemble_declares_all_files_and_both_edges(tmp_path: Path) -> None:
    ensemble = together(
        Fixed("one", {}, reads=(str(tmp_path / "one"),), input_edge=224),
        Fixed("two", {}, reads=(str(tmp_path / "two"),), input_edge=640),
    )
    assert {tmp_path / "one", tmp_path / "two"} <= set(reads_of(ensemble))
    assert (input_edge(ensemble), smallest_input_edge(ensemble)) == (640, 224)
    assert smallest_input_edge(SKIN) == 224


def test_ensemble_is_pickled_with_its_members() -> None:
    copy = pickle.loads(pickle.dumps(together(SKIN, BLOOD)))
    assert copy.judge(PICTURE) == together(SKIN, BLOOD).judge(PICTURE)


@dataclass(frozen=True)
class Softmax(Fixed):
    """Its labels exclude each other."""

    @property
    def exclusive(self) -> tuple[frozenset[str], ...]:
        return (self.labels,)


def test_group_of_an_ensemble_adds_within_a_model_and_takes_the_highest_of_models() -> None:
    sums = Softmax("sums", {"porn": 0.3, "hentai": 0.25, "calm": 0.45}, {"explicit": frozenset({"porn", "hentai"})})
    both = together(SKIN, sums, BLOOD)
    assert both.exclusive == (frozenset({"porn", "hentai", "sums/calm"}),)
    graded = with_group_scores(both.judge(PICTURE), both)
    assert graded.group_scores == {"explicit": pytest.approx(0.55), "violent": 0.7}
