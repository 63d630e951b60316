"""Scrutiny: the views that a moderator is shown, early stops, time estimates, and failing closed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from PIL import Image

from mediagate import Source, VariantSpec
from mediagate.errors import ImageTooLarge, ModerationFailed
from mediagate.images import pixels as images
from mediagate.images.judgement import Pace, judge
from mediagate.moderation import Moderator, Picture, input_edge, together
from mediagate.moderation.protocols import TellsInputEdge
from mediagate.values import Verdict
from tests.support.poison import Poison, Reds, fail

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (120, 120, 120)
REJECT_RED = Source(reject={"red": 0.5})
Colour = tuple[int, int, int]


@dataclass
class Watcher:
    """A moderator that records the size and the middle pixel of each picture, and scores 0."""

    labels: frozenset[str] = frozenset({"red"})
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        self.sizes.append((picture.width, picture.height))
        middle = 3 * (picture.height // 2 * picture.width + picture.width // 2)
        red, green, blue = picture.rgb()[middle : middle + 3]
        self.colours.append((red, green, blue))
        return Verdict(scores={"red": 0.0})


@dataclass
class LargeWatcher(Watcher):
    input_edge: int = 1000


@dataclass(frozen=True)
class Counter(Reds):
    """A moderator that scores reds, and counts its runs."""

    runs: list[None] = field(default_factory=list)

    def judge(self, picture: Picture) -> Verdict:
        self.runs.append(None)
        return super().judge(picture)


def judged(
    frames: Image.Image | Sequence[Image.Image],
    moderator: Moderator,
    durations_ms: Sequence[int] = (),
    *,
    plays: int = 0,
    source: Source = REJECT_RED,
    **options: Any,
) -> tuple[Verdict, int]:
    frames = [frames] if isinstance(frames, Image.Image) else frames
    plans = images.plan(frames[0].size, source)
    return judge(frames, durations_ms or [100] * len(frames), plays, plans, source, moderator, **options)


def plain(colour: tuple[int, ...], size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour)


def shown(*frames: Image.Image, durations_ms: Sequence[int] = (), plays: int = 0) -> list[Colour]:
    watcher = Watcher()
    _, runs = judged(frames, watcher, durations_ms, plays=plays)
    assert runs == len(watcher.colours)
    return watcher.colours


# -- alpha


def test_transparent_picture_is_shown_on_three_greys_and_without_alpha() -> None:
    colours = shown(plain((200, 100, 0, 51)))
    assert colours == [(244, 224, 204), (40, 20, 0), (142, 122, 102), (200, 100, 0)]


def test_equal_backgrounds_are_judged_once() -> None:
    picture = plain((0, 0, 0, 0))
    picture.paste((10, 200, 30, 255), (20, 10, 40, 30))
    watcher = Watcher()
    assert judged(picture, watcher)[1] == 3
    assert judged(plain((10, 200, 30, 255)), watcher)[1] == 1


def test_colour_visible_only_without_alpha_is_rejected() -> None:
    verdict, _ = judged(plain((255, 0, 0, 10)), Reds())
    assert verdict.decision == "reject"
    assert judged(plain((0, 0, 0, 10)), Reds())[0].decision == "allow"


def test_red_too_pale_on_white_and_too_dark_on_black_is_shown_on_grey() -> None:
    # On white this red is too pale, and on black too dark.
    colours = shown(plain((255, 96, 96, 102)))
    assert [red > 170 and green < 120 for red, green, _ in colours] == [False, False, True, True, True]


# -- animations


def test_equal_frames_are_shown_once() -> None:
    frames = [plain(GREY), plain(RED), plain(GREY), plain(GREEN), plain(RED)]
    assert shown(*frames) == [GREY, RED, GREEN]


def test_short_neighbouring_frames_are_also_shown_as_their_mean() -> None:
    red, blue = plain((200, 0, 0)), plain((0, 0, 200))
    assert shown(red, blue, durations_ms=[40, 40]) == [(200, 0, 0), (0, 0, 200), (100, 0, 100)]
    assert shown(red, blue, durations_ms=[40, 50]) == [(200, 0, 0), (0, 0, 200)]


def test_last_and_first_frame_are_averaged_if_the_animation_loops() -> None:
    red, grey, blue = plain((200, 0, 0)), plain(GREY), plain((0, 0, 200))
    durations_ms = [40, 200, 40]
    assert (100, 0, 100) in shown(red, grey, blue, durations_ms=durations_ms, plays=0)
    assert (100, 0, 100) in shown(red, grey, blue, durations_ms=durations_ms, plays=3)
    assert (100, 0, 100) not in shown(red, grey, blue, durations_ms=durations_ms, plays=1)


def test_frames_within_a_tenth_of_a_second_are_shown_as_one_mean() -> None:
    parts = [plain((250, 0, 0)), plain((0, 250, 0)), plain((0, 0, 250)), plain((250, 250, 250)), plain((0, 0, 0))]
    colours = shown(*parts, durations_ms=[20] * 5)
    assert any(all(abs(channel - 100) <= 3 for channel in colour) for colour in colours)
    # Five frames, five pairs, and the mean of all five, which is equal for any first frame up to rounding.
    assert len(colours) <= 15


def test_mean_weights_frames_by_duration() -> None:
    parts = [plain((0, 0, 0)), plain((0, 0, 0)), plain((200, 200, 200))]
    parts[1].putpixel((0, 0), (1, 0, 0))
    colours = shown(*parts, durations_ms=[20, 20, 40], plays=1)
    assert any(abs(colour[0] - 100) <= 2 for colour in colours)


def test_long_alternation_of_frames_has_few_means() -> None:
    frames = [plain(RED), plain(BLUE)] * 50
    assert len(shown(*frames, durations_ms=[30] * 100)) <= 5


def test_frames_without_duration_have_few_means() -> None:
    frames = [plain((shade, 0, 0)) for shade in range(40)]
    assert len(shown(*frames, durations_ms=[0] * 40)) <= 3 * 40


# -- large pictures


def test_views_are_reduced_to_twice_the_input_edge() -> None:
    watcher, large = Watcher(), LargeWatcher()
    judged(plain(GREY, (1500, 1000)), watcher)
    assert watcher.sizes[0] == (640, 427)
    judged(plain(GREY, (3000, 1000)), large)
    assert large.sizes[0] == (2000, 667)


def test_input_edge_has_a_default() -> None:
    assert input_edge(Watcher()) == 320
    assert input_edge(LargeWatcher()) == 1000
    assert isinstance(LargeWatcher(), TellsInputEdge)
    assert not isinstance(Watcher(), TellsInputEdge)


def test_small_part_is_rejected_in_its_own_view() -> None:
    picture = plain(GREY, (2000, 200))
    picture.paste(RED, (1100, 0, 1300, 200))
    assert judged(picture, Reds())[0].decision == "reject", "one tile is all red, the whole a tenth"
    large = plain(GREY, (2048, 2048))
    large.paste(RED, (300, 900, 900, 1500))
    assert judged(large, Reds())[0].decision == "allow"
    thorough = REJECT_RED.model_copy(update={"scrutiny": "thorough"})
    assert judged(large, Reds(), source=thorough)[0].decision == "reject"


def test_equal_views_are_judged_once() -> None:
    thorough = REJECT_RED.model_copy(update={"scrutiny": "thorough"})
    assert judged(plain(GREY, (2560, 2560)), Watcher(), source=thorough)[1] == 1


# -- stopping and counting


def test_judge_stops_after_the_batch_that_is_rejected() -> None:
    frames = [plain((shade, 0, 0)) for shade in range(150, 250)]
    counter = Counter()
    verdict, runs = judged(frames, counter)
    assert (verdict.decision, verdict.complete) == ("reject", False)
    assert runs == len(counter.runs) == 4
    verdict, runs = judged(frames[:4], Reds())
    assert (verdict.decision, verdict.complete, runs) == ("reject", True, 4)


def test_allow_and_review_verdicts_are_complete() -> None:
    frames = [plain((shade, 0, 0)) for shade in range(100, 112)]
    verdict, runs = judged(frames, Reds())
    assert (verdict.decision, verdict.complete, runs) == ("allow", True, 12)
    verdict, runs = judged(frames, Reds(), source=Source(review={"light": 0.1}))
    assert (verdict.decision, verdict.complete, runs) == ("review", True, 12)


def test_judge_without_moderator_runs_no_model() -> None:
    plans = images.plan((60, 40), REJECT_RED)
    verdict, runs = judge([plain(GREY)], [0], 0, plans, REJECT_RED, None)
    assert (verdict.model, verdict.decision, verdict.complete, runs) == ("off", "allow", True, 0)


# -- several moderators


def test_models_of_an_ensemble_see_the_views_of_the_smallest_at_the_size_of_the_largest() -> None:
    source = REJECT_RED.model_copy(update={"variants": {"one": VariantSpec(width=2000)}, "original": "delete"})
    both = source.model_copy(update={"reject": {"Watcher/red": 0.5}})
    small, large = Watcher(), LargeWatcher()
    noise = Image.effect_noise((2000, 1500), 50).convert("RGB")
    _, runs = judged(noise, together(small, large), source=both)
    small_alone, large_alone = Watcher(), LargeWatcher()
    judged(noise, small_alone, source=source)
    judged(noise, large_alone, source=source)
    assert (len(small_alone.sizes), len(large_alone.sizes)) == (5, 1)
    assert small.sizes == large.sizes
    assert (len(small.sizes), runs) == (5, 10)
    assert small.sizes[0] == large_alone.sizes[0] == (2000, 1500)


# -- the time of a job


def test_judge_refuses_too_many_runs_before_the_first() -> None:
    pace, watcher = Pace(), Watcher()
    pace.ran(0.5)
    pace.ran(2.0)
    frames = [plain((shade, 0, 0)) for shade in range(100)]
    with pytest.raises(ImageTooLarge) as raised:
        judged(frames, watcher, time_s=30, pace=pace)
    assert "takes 100 runs of the model, and at most 60 fit into 30 s" in raised.value.detail
    assert 'scrutiny="standard"' in raised.value.detail
    assert "image_timeout_s" in raised.value.detail
    assert not watcher.sizes
    assert not raised.value.retryable
    assert judged(frames[:60], watcher, time_s=30, pace=pace)[1] == 60


def test_judge_keeps_a_pace_for_each_choice_of_moderators(monkeypatch: pytest.MonkeyPatch) -> None:
    paces: dict[tuple[str, ...] | None, Pace] = {None: Pace(quickest_s=1e9)}
    monkeypatch.setattr("mediagate.images.judgement.PACES", paces)
    chosen = REJECT_RED.model_copy(update={"moderators": ("Watcher",)})
    assert judged(plain(RED), Watcher(), source=chosen, time_s=30)[1] == 1
    assert paces[("Watcher",)].quickest_s is not None
    with pytest.raises(ImageTooLarge):
        judged(plain(RED), Watcher(), time_s=30)


def test_pace_is_measured_by_the_first_runs() -> None:
    frames = [plain((shade, 0, 0)) for shade in range(9)]
    watcher = Watcher()
    with pytest.raises(ImageTooLarge, match="takes 9 runs"):
        judged(frames, watcher, time_s=1e-9, pace=Pace())
    assert len(watcher.sizes) == 4
    assert judged(frames, Watcher(), time_s=None, pace=Pace(quickest_s=1e9))[1] == 9


def test_run_estimate_includes_backgrounds_views_and_means() -> None:
    pace = Pace(quickest_s=1.0)
    thorough = REJECT_RED.model_copy(update={"scrutiny": "thorough"})
    clear, half = plain((9, 9, 9, 255), (1300, 1300)), plain((9, 9, 9, 99), (1300, 1300))
    clear.paste((0, 0, 0, 0), (0, 0, 5, 5))
    quick = [plain(RED), plain(GREEN), plain(BLUE)]
    for frames, durations_ms, source, needed in (
        ([clear], [0], REJECT_RED, 4 * 5),
        ([half], [0], REJECT_RED, 5 * 5),
        ([half], [0], thorough, 5 * (5 + 9)),
        (quick, [40, 40, 40], REJECT_RED, 3 + 3),
        (quick, [30, 30, 30], REJECT_RED, 3 + 3 + 1),
    ):
        with pytest.raises(ImageTooLarge, match=f"takes {needed} runs"):
            judged(frames, Watcher(), durations_ms, source=source, time_s=needed - 1, pace=pace)


# -- failing closed


@pytest.mark.parametrize("edge", [0, -1, None, "320"])
def test_invalid_input_edge_fails_the_judgement(edge: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL), pytest.raises(ModerationFailed):
        judged(plain(GREY, (900, 600)), LargeWatcher(input_edge=edge))


def test_moderator_failure_in_a_later_view_fails_the_judgement() -> None:
    picture = plain(GREY, (2000, 500))
    with pytest.raises(ModerationFailed, match="failed with ValueError"):
        judged(picture, Poison(fail, width=500))


def test_published_crop_is_judged_at_its_focal_point() -> None:
    picture = plain(GREY, (400, 1600))
    picture.paste(RED, (0, 100, 400, 500))
    avatar = {"avatar": VariantSpec(width=100, height=100, fit="cover")}
    source = Source(reject={"red": 0.5}, original="delete", variants=avatar)
    plans = images.plan(picture.size, source, (0.5, 0.1))
    assert judge([picture], [0], 0, plans, source, Reds())[0].decision == "reject"
    elsewhere = images.plan(picture.size, source, (0.5, 0.9))
    assert judge([picture], [0], 0, elsewhere, source, Reds())[0].decision == "allow", "that part is not published"
