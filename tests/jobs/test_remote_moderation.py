"""Moderation by a service: what is sent, what its answer and its silence mean, and how often it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import pytest

from mediagate import Picture, Source, Verdict
from mediagate.errors import ModerationFailed, ModeratorUnavailable
from mediagate.jobs.remote_moderation import SIDE_BY_SIDE, RemoteModeration
from mediagate.values import ImageInfo, Rendered, RenderedFile
from tests.support.bare_parts import SetRecords

pytestmark = pytest.mark.anyio

FILE = RenderedFile("xs", "webp", 8, 8, b"variant")
ORIGINAL = RenderedFile("original", "jpeg", 8, 8, b"original")
REJECTS = Source(reject={"red": 0.5})


class Service:
    """A remote moderator that answers with what a test gives it, and notes what it was sent."""

    labels: frozenset[str] = frozenset({"red"})
    groups: Mapping[str, frozenset[str]] = {"warm": frozenset({"red"})}

    def __init__(
        self,
        answer: Callable[[bytes], Verdict] = lambda jpeg: Verdict(scores={"red": 0.1}),
        *,
        timeout_s: float = 5.0,
        max_calls_per_day: int | None = None,
        lasts_s: float = 0.0,
    ) -> None:
        self.answer = answer
        self.timeout_s = timeout_s
        self.max_calls_per_day = max_calls_per_day
        self.lasts_s = lasts_s
        self.sent: list[bytes] = []
        self.at_once = self.most_at_once = 0

    async def judge(self, jpeg: bytes) -> Verdict:
        self.sent.append(jpeg)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.lasts_s)
            return self.answer(jpeg)
        finally:
            self.at_once -= 1


class Local:
    """A moderator of the image processes, of which only the names are asked here."""

    labels = frozenset({"blue"})
    groups: Mapping[str, frozenset[str]] = {}

    def prepare(self) -> None:
        pass

    def judge(self, picture: Picture) -> Verdict:
        return Verdict(scores={"blue": 0.0})


def picture(previews: Sequence[bytes] = (b"frame",), verdict: Verdict | None = None) -> Rendered:
    return Rendered(
        verdict or Verdict(scores={"blue": 0.2}, model="local"),
        ImageInfo("jpeg", 8, 8),
        variants=(FILE,),
        original=ORIGINAL,
        previews=tuple(previews),
    )


def scoring(red: float) -> Callable[[bytes], Verdict]:
    return lambda jpeg: Verdict(scores={"red": red}, model="remote")


async def judged(service: Service, rendered: Rendered, source: Source = REJECTS) -> Rendered:
    return await RemoteModeration(service, None, SetRecords()).judged(rendered, source)


async def test_remote_moderation_allows_with_all_files_and_without_previews() -> None:
    service = Service(scoring(0.4))
    rendered = await judged(service, picture([b"one", b"two"]))
    assert service.sent == [b"one", b"two"]
    assert (rendered.verdict.decision, rendered.variants, rendered.original) == ("allow", (FILE,), ORIGINAL)
    assert rendered.previews == ()
    assert rendered.verdict.scores == {"blue": 0.2, "red": 0.4}
    assert rendered.verdict.model == "local + remote"


async def test_remote_moderation_rejects_without_any_file() -> None:
    rendered = await judged(Service(scoring(0.5)), picture())
    assert (rendered.verdict.decision, rendered.verdict.flags) == ("reject", ("red",))
    assert (rendered.files, rendered.previews) == ((), ())


async def test_remote_moderation_knows_its_groups() -> None:
    rendered = await judged(Service(scoring(0.9)), picture(), Source(reject={"warm": 0.5}))
    assert rendered.verdict.flags == ("warm",)


async def test_remote_moderation_leaves_the_thresholds_of_others_to_them() -> None:
    source = Source(reject={"red": 0.5, "blue": 0.1})
    assert (await judged(Service(scoring(0.1)), picture(), source)).verdict.decision == "allow"


async def test_remote_moderation_takes_the_highest_score_of_all_frames() -> None:
    service = Service(lambda jpeg: Verdict(scores={"red": 0.9 if jpeg == b"bad" else 0.0}))
    rendered = await judged(service, picture([b"good", b"bad", b"good"]))
    assert (rendered.verdict.decision, rendered.verdict.scores["red"]) == ("reject", 0.9)


async def test_remote_moderation_keeps_a_stricter_local_verdict() -> None:
    local = Verdict("review", ("skin",), {"blue": 0.2}, 0.2, reason="look")
    rendered = await judged(Service(scoring(0.1)), picture(verdict=local))
    assert (rendered.verdict.decision, rendered.verdict.reason, rendered.files) == ("review", "look", ())


async def test_remote_moderation_asks_four_at_a_time() -> None:
    service = Service(lasts_s=0.01)
    await judged(service, picture([b"%d" % n for n in range(10)]))
    assert (len(service.sent), service.most_at_once, SIDE_BY_SIDE) == (10, 4, 4)


async def test_remote_moderation_without_an_answer_in_time_is_unavailable() -> None:
    with pytest.raises(ModeratorUnavailable, match=r"did not answer within 0\.05 s"):
        await judged(Service(timeout_s=0.05, lasts_s=5), picture())


def raising(error: Exception) -> Callable[[bytes], Verdict]:
    def answer(jpeg: bytes) -> Verdict:
        raise error

    return answer


@pytest.mark.parametrize("error", [ModeratorUnavailable("away"), ModerationFailed("unreadable")])
async def test_remote_moderation_passes_on_what_the_moderator_says(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        await judged(Service(raising(error)), picture([b"one", b"two"]))


async def test_remote_moderation_that_breaks_has_failed() -> None:
    with pytest.raises(ModerationFailed, match="failed with RuntimeError; see the log"):
        await judged(Service(raising(RuntimeError("a bug"))), picture())


async def test_remote_moderation_without_a_limit_asks_for_every_frame() -> None:
    service = Service()
    await judged(service, picture([b"frame"] * 20))
    assert len(service.sent) == 20


async def test_remote_moderation_asks_no_more_often_in_a_day_than_it_may() -> None:
    service, records = Service(max_calls_per_day=3), SetRecords()
    remote = RemoteModeration(service, None, records)
    await remote.judged(picture([b"one", b"two"]), REJECTS)
    with pytest.raises(ModeratorUnavailable, match="the limit of 3 calls for 2026-03-01 is used up"):
        await remote.judged(picture([b"one", b"two"]), REJECTS)
    await remote.judged(picture([b"three"]), REJECTS)
    assert len(service.sent) == 3
    records.time += timedelta(days=1)
    await remote.judged(picture([b"one", b"two", b"three"]), REJECTS)
    assert len(service.sent) == 6


async def test_remote_moderation_fails_a_picture_that_no_day_allows() -> None:
    service = Service(max_calls_per_day=2)
    with pytest.raises(
        ModerationFailed, match="this image needs 3 calls of the remote moderator; the daily limit is 2"
    ):
        await judged(service, picture([b"one", b"two", b"three"]))
    await judged(service, picture([b"one", b"two"]))
    assert len(service.sent) == 2


class Edged(Service):
    """A service that is made for pictures of its own size."""

    input_edge = 768


async def test_remote_moderation_tells_what_the_service_is_made_for() -> None:
    assert RemoteModeration(Edged(), None, SetRecords()).input_edge == 768
    assert RemoteModeration(Service(), None, SetRecords()).input_edge == 320


async def test_remote_moderation_gives_the_image_processes_the_thresholds_of_the_local_moderator() -> None:
    source = Source(reject={"red": 0.5, "blue": 0.1}, review={"red": 0.3, "blue": 0.05})
    alone = RemoteModeration(Service(), None, SetRecords())
    assert alone.alone(source)
    assert (alone.locally(source).reject, alone.locally(source).review) == ({}, {})
    both = RemoteModeration(Service(), Local(), SetRecords())
    assert not both.alone(source)
    assert (both.locally(source).reject, both.locally(source).review) == ({"blue": 0.1}, {"blue": 0.05})
