"""Judging published pictures again: what falls is listed, reviewed or taken down, and an error takes nothing down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from mediagate import (
    MODERATOR,
    RECORDS,
    REMOTE_MODERATOR,
    STORAGE,
    JobState,
    JobStatus,
    Media,
    MediaGate,
    Rejudgement,
    RejudgementStatus,
    Source,
    VariantSpec,
    Verdict,
)
from mediagate.errors import (
    InvalidParameter,
    JobConflict,
    JobNotFound,
    ModeratorUnavailable,
    StorageUnavailable,
    UnknownSource,
)
from mediagate.jobs import worker
from mediagate.records import MemoryRecords
from mediagate.storage import FilesystemStorage, MemoryStorage
from tests.support.channel_model import BLUE, RED, channel_model, plain
from tests.support.forked import SharedForkServer
from tests.support.moderators import Fixed
from tests.support.rejudging import FASTEST, TOLERANT, Place, ended, place_in_memory, rejudged
from tests.support.until import until

pytestmark = pytest.mark.anyio

Statuses = RejudgementStatus


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look for published pictures at once."""
    monkeypatch.setattr(worker, "LOOK_S", 0.02)


@pytest.fixture
def place(tmp_path: Path, fork_server: SharedForkServer) -> Place:
    """Records and files in memory."""
    return place_in_memory(tmp_path, fork_server)


@pytest.fixture(params=["memory", "sqlite and files", "postgresql and bucket"])
def any_place(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Place:
    """Memory, SQLite with a folder, and PostgreSQL with a bucket."""
    if request.param == "memory":
        return place
    if request.param == "sqlite and files":
        place.connect = lambda gate: gate.decorate(STORAGE, FilesystemStorage(tmp_path / "files"))
        place.settings["database_url"] = f"file:{tmp_path / 'records.db'}"
        return place
    place.connect = request.getfixturevalue("use_bucket")
    place.settings["database_url"] = str(request.getfixturevalue("own_postgres_url"))
    return place


def client_of(gate: MediaGate) -> httpx.AsyncClient:
    """Return a client of an open gate that is mounted at the root."""
    transport = httpx.ASGITransport(gate, root_path="")
    return httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60)


async def keys(gate: MediaGate) -> set[str]:
    return {info.key for root in ("media/", "originals/") async for info in gate[STORAGE].list(root)}


async def test_list_says_what_would_fall_and_changes_nothing(any_place: Place) -> None:
    red, blue = await any_place.publish(plain(RED), plain(BLUE))
    async with any_place.gate() as gate, client_of(gate) as client:
        before = await keys(gate)
        done, results = await rejudged(gate, "list")
        assert (done.passed, done.fell, done.failed) == (1, 1, 0)
        assert results.keys() == {red.job_id}
        fell = results[red.job_id]
        assert (fell.status, fell.media_id) == (Statuses.FELL, red.job.media_id)
        assert fell.verdict is not None
        assert (fell.verdict.decision, fell.verdict.flags) == ("reject", ("red",))
        assert fell.verdict.scores["red"] == pytest.approx(200 / 255, abs=0.01)
        assert red.job.verdict is not None
        assert fell.verdict.models == red.job.verdict.models
        answers = [await client.get(f"/status/{one.job_id}") for one in (red, blue)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert await keys(gate) == before
        job = (await gate.get_status(red.job_id)).job
        assert (job.verdict, job.finished_at) == (red.job.verdict, red.job.finished_at)


async def test_reject_takes_down_what_falls(any_place: Place) -> None:
    red, blue = await any_place.publish(plain(RED), plain(BLUE))
    told: list[tuple[str, str]] = []

    async def on_rejected(state: JobState) -> None:
        told.append(("rejected", state.job.id))

    async def on_deleted(media: Media) -> None:
        told.append(("deleted", media.job_id))

    gate = any_place.gate()
    gate.add_hook("on_rejected", on_rejected)
    gate.add_hook("on_deleted", on_deleted)
    async with gate, client_of(gate) as client:
        await gate[RECORDS].passed_on(
            [event.id for event in await gate[RECORDS].outbox(limit=99)], now=red.job.created_at
        )
        done, results = await rejudged(gate, "reject")
        assert (done.passed, done.fell, done.failed) == (1, 1, 0)
        assert results[red.job_id].status is Statuses.REJECTED
        answer = await client.get(f"/status/{red.job_id}")
        body = answer.json()
        assert (answer.status_code, answer.headers["Mediagate-Job-Status"]) == (400, "REJECTED")
        assert (body["status"], body["reason"], body["code"]) == (
            "REJECTED", "Content moderation failed", "moderation_rejected",
        )  # fmt: skip
        assert body["moderationDetails"]["flags"] == ["red"]
        assert body["warnings"] == ["the picture was published before it was rejected"]
        assert (await client.get(f"/status/{blue.job_id}")).status_code == 200
        assert (await client.get(f"/media/{red.job.media_id}")).status_code == 404
        left = await keys(gate)
        assert {key.split("/")[3] for key in left} == {blue.job.media_id}
        job = (await gate.get_status(red.job_id)).job
        assert job.verdict is not None
        assert (job.verdict.decision, job.verdict.model) == ("reject", "colours.onnx")
        assert red.job.verdict is not None
        assert job.verdict.model_hash == red.job.verdict.model_hash
        await until(lambda: len(told) == 2)
        assert sorted(told) == [("deleted", red.job_id), ("rejected", red.job_id)]
        events = [(event.type.value, event.job_id) for event in await gate[RECORDS].outbox(limit=99)]
        assert sorted(events) == [("job.rejected", red.job_id), ("media.deleted", red.job_id)]


async def test_review_leaves_the_decision_to_a_person(any_place: Place) -> None:
    first, second, blue = await any_place.publish(plain(RED), plain(RED, (120, 80)), plain(BLUE))
    async with any_place.gate() as gate, client_of(gate) as client:
        done, results = await rejudged(gate, "review")
        assert (done.passed, done.fell) == (1, 2)
        assert {one.status for one in results.values()} == {Statuses.REVIEW}
        waiting = await gate.list_rejudgements(status="REVIEW")
        assert {one.job_id for one in waiting} == {first.job_id, second.job_id}
        assert (await client.get(f"/status/{first.job_id}")).status_code == 200, "it is published until then"

        assert await gate.decide(first.job_id, "reject") is Statuses.REJECTED
        answer = await client.get(f"/status/{first.job_id}")
        assert (answer.status_code, answer.json()["reason"]) == (400, "Content moderation failed")
        assert await gate.decide(second.job_id, "keep") is Statuses.KEPT
        assert (await client.get(f"/status/{second.job_id}")).status_code == 200
        assert {key.split("/")[3] for key in await keys(gate)} == {second.job.media_id, blue.job.media_id}
        for job_id in (first.job_id, second.job_id, blue.job_id):
            with pytest.raises(JobConflict):
                await gate.decide(job_id, "reject")
        with pytest.raises(JobNotFound):
            await gate.decide("job_unknown", "keep")
        with pytest.raises(InvalidParameter, match="keep or reject"):
            await gate.decide(second.job_id, "allow")


async def test_picture_is_decided_once(any_place: Place) -> None:
    (red,) = await any_place.publish(plain(RED))
    async with any_place.gate() as gate:
        await rejudged(gate, "review")
        decisions = [gate.decide(red.job_id, decision) for decision in ("keep", "reject", "keep", "reject")]
        done = await asyncio.gather(*decisions, return_exceptions=True)
        (decided,) = [one for one in done if not isinstance(one, JobConflict)]
        status = (await gate[RECORDS].get_jobs([red.job_id]))[red.job_id].status
        assert (decided, status) in {
            (Statuses.KEPT, JobStatus.COMPLETE),
            (Statuses.REJECTED, JobStatus.REJECTED),
        }


@pytest.mark.parametrize(("decision", "status"), [("keep", Statuses.KEPT), ("reject", Statuses.GONE)])
async def test_decision_about_a_deleted_picture_ends_its_waiting(
    any_place: Place, decision: str, status: RejudgementStatus
) -> None:
    (red,) = await any_place.publish(plain(RED))
    async with any_place.gate() as gate:
        await rejudged(gate, "review")
        await gate.delete_media(red.job.media_id)
        assert await gate.decide(red.job_id, decision) is status
        assert await gate.list_rejudgements(status="REVIEW") == []
        assert (await gate[RECORDS].get_jobs([red.job_id]))[red.job_id].status is JobStatus.COMPLETE


async def test_outdated_leaves_out_what_the_models_of_today_have_judged(any_place: Place, tmp_path: Path) -> None:
    red, blue = await any_place.publish(plain(RED), plain(BLUE))
    async with any_place.gate() as gate:
        done, _ = await rejudged(gate, outdated=True)
        assert (done.judged, done.current) == (0, 2), "the same model"
    newer = channel_model(tmp_path / "newer.onnx", note="newer")
    async with any_place.gate(model=newer) as gate:
        done, _ = await rejudged(gate, outdated=True)
        assert (done.passed, done.fell, done.current) == (1, 1, 0)
        passed = (await gate[RECORDS].get_jobs([blue.job_id]))[blue.job_id]
        assert passed.verdict is not None
        assert blue.job.verdict is not None
        assert passed.verdict.model_hash != blue.job.verdict.model_hash
        assert passed.verdict.decision == "allow"
        done, results = await rejudged(gate, "reject", outdated=True)
        assert (done.fell, done.current) == (1, 1), "what fell is judged again, to be taken down"
        assert results[red.job_id].status is Statuses.REJECTED


async def test_rejudge_judges_all_frames_of_an_animation(place: Place) -> None:
    kept = Source(reject={"red": 0.99}, animation="keep", original="delete")
    moving, still = await place.publish(plain(BLUE, later=RED), plain(BLUE), source=kept)
    async with place.gate(Source(reject={"red": 0.5})) as gate:
        _, results = await rejudged(gate)
        assert results.keys() == {moving.job_id}
        assert still.job_id not in results


async def test_rejudge_judges_the_largest_variant_without_an_original(place: Place) -> None:
    sizes = {"sm": VariantSpec(width=40), "lg": VariantSpec(width=90)}
    (red,) = await place.publish(plain(RED), source=Source(reject={"red": 0.99}, variants=sizes, original="delete"))
    async with place.gate() as gate:
        (small,) = [key for key in await keys(gate) if "/sm." in key]
        await gate[STORAGE].put(small, b"not a picture")
        done, results = await rejudged(gate)
        assert results[red.job_id].status is Statuses.FELL
        assert done.failed == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "published_file_lost"), (b"no picture", "unsupported_type"), (-40, "image_undecodable")],
)
async def test_file_that_cannot_be_judged_fails_and_stays_published(
    place: Place, content: bytes | int | None, code: str
) -> None:
    red, blue = await place.publish(plain(RED), plain(BLUE))
    async with place.gate() as gate:
        (key,) = [key for key in await keys(gate) if key.startswith("originals/") and red.job.media_id in key]
        if content is None:
            await gate[STORAGE].delete([key])
        else:
            whole = await gate[STORAGE].get(key)
            await gate[STORAGE].put(key, content if isinstance(content, bytes) else whole[:content])
        done, results = await rejudged(gate, "reject")
        assert (done.passed, done.fell, done.failed) == (1, 0, 1)
        assert (results[red.job_id].status, results[red.job_id].code) == (Statuses.FAILED, code)
        assert results[red.job_id].error
        assert {(await gate.get_status(one.job_id)).status for one in (red, blue)} == {JobStatus.COMPLETE}


@pytest.mark.parametrize("outdated", [False, True])
async def test_broken_moderator_takes_nothing_down(place: Place, outdated: bool) -> None:
    (red,) = await place.publish(plain(RED))
    gate = place.gate(Source(reject={"x": 0.5, "red": 0.5}), max_attempts=2)
    gate.decorate(MODERATOR, Fixed("broken", {"x": 0.1}, fails="no memory left"))
    async with gate:
        done, results = await rejudged(gate, "reject", outdated=outdated)
        assert (done.passed, done.fell, done.failed) == (0, 0, 1)
        one = results[red.job_id]
        assert (one.code, one.attempts) == ("moderation_failed", 2)
        assert (await gate.get_status(red.job_id)).status is JobStatus.COMPLETE


class Service:
    """A moderation service that is unavailable at first."""

    name = "service"
    labels = frozenset({"seen"})
    groups: Mapping[str, frozenset[str]] = {}
    timeout_s = 5.0
    max_calls_per_day = None

    def __init__(self, fails: int) -> None:
        self.fails = fails
        self.calls = 0

    async def judge(self, jpeg: bytes) -> Verdict:
        self.calls += 1
        if self.calls <= self.fails:
            raise ModeratorUnavailable("the service does not answer")
        return Verdict(scores={"seen": 0.9}, model="service", model_hash="1")


async def test_unavailable_service_delays_a_pass_and_fails_nothing(place: Place) -> None:
    red, blue = await place.publish(plain(RED), plain(BLUE))
    gate, service = place.gate(Source(reject={"red": 0.5, "seen": 0.8}), max_attempts=1), Service(fails=3)
    gate.decorate(REMOTE_MODERATOR, service)
    async with gate:
        done, results = await rejudged(gate)
        assert (done.passed, done.fell, done.failed) == (0, 2, 0)
        verdict = results[blue.job_id].verdict
        assert verdict is not None
        assert verdict.flags == ("seen",)
        assert service.calls > service.fails
        verdict = results[red.job_id].verdict
        assert verdict is not None
        assert verdict.flags == ("red",), "what the model rejects is not sent"


class Flaky(MemoryStorage):
    """A storage whose reads fail at first."""

    failures = 0

    async def get(self, key: str) -> bytes:
        if self.failures and key.startswith("originals/"):
            self.failures -= 1
            raise StorageUnavailable("the storage does not answer")
        return await super().get(key)


async def test_unavailable_storage_delays_a_pass_and_fails_nothing(place: Place) -> None:
    records, storage = MemoryRecords(), Flaky()

    def connect(gate: MediaGate) -> None:
        gate.decorate(RECORDS, records)
        gate.decorate(STORAGE, storage)

    place.connect = connect
    await place.publish(plain(RED))
    storage.failures = 3
    async with place.gate(max_attempts=1) as gate:
        done, _ = await rejudged(gate)
    assert (done.fell, done.failed, storage.failures) == (1, 0, 0)


async def test_model_names_the_only_moderator_that_judges(place: Place) -> None:
    (blue,) = await place.publish(plain(BLUE))
    gate = place.gate(Source(reject={"x": 0.5, "blue": 0.99}))
    gate.decorate(MODERATOR, Fixed("other", {"x": 0.9}))
    async with gate:
        _, results = await rejudged(gate, moderator="colours")
        assert results == {}
        job = (await gate[RECORDS].get_jobs([blue.job_id]))[blue.job_id]
        assert job.verdict is not None
        assert job.verdict.models.keys() == {"colours"}
        _, results = await rejudged(gate, moderator="other")
        verdict = results[blue.job_id].verdict
        assert verdict is not None
        assert verdict.models == {"other": "other-hash"}
        with pytest.raises(InvalidParameter, match="no moderator of it is named 'gore'; it is judged by "):
            await gate.rejudge("avatar", moderator="gore")


async def test_rejudge_refuses_what_it_cannot_do(place: Place, make_gate: Callable[..., MediaGate]) -> None:
    async with place.gate(worker=False) as gate:
        with pytest.raises(InvalidParameter, match="list, review, reject"):
            await gate.rejudge(action="delete")
        for rate in (0, 60_001):
            with pytest.raises(InvalidParameter, match="rate"):
                await gate.rejudge(rate=rate)
        with pytest.raises(UnknownSource, match="avatar"):
            await gate.rejudge("post")
        with pytest.raises(InvalidParameter, match="status"):
            await gate.list_rejudgements(status="BAD")
        assert await gate.get_rejudgings() == []
    async with make_gate(worker=False) as gate:
        with pytest.raises(InvalidParameter, match="moderation is off"):
            await gate.rejudge()


async def test_open_pass_continues_and_a_closed_one_does_not(place: Place) -> None:
    await place.publish(plain(RED))
    async with place.gate(worker=False) as gate:
        (first,) = await gate.rejudge(rate=10)
        (again,) = await gate.rejudge(rate=20)
        assert (again.id, again.rate) == (first.id, 20)
        (other,) = await gate.rejudge(action="reject")
        assert other.id != first.id
        await gate.close_rejudging(other.id)
    async with place.gate() as gate:
        (done,) = await ended(gate, first)
        assert done.fell == 1
        (same,) = await gate.rejudge()
        assert (same.id, same.done) == (first.id, True), "its results are not lost to a command that was killed"
        await gate.close_rejudging(first.id)
        (new,) = await gate.rejudge()
        assert new.id != first.id
        (closed,) = await gate.get_rejudgings(other.id)
        assert (closed.fell, closed.done) == (0, True), "nothing is taken down by a pass that was stopped"


async def test_pictures_are_judged_at_most_at_the_rate(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.publish(plain(RED), plain(BLUE), plain(BLUE))
    looks = 0
    async with place.gate() as gate:
        rejudgements = gate[RECORDS].rejudgements
        read = rejudgements.get_rejudgings

        async def counted() -> object:
            nonlocal looks
            looks += 1
            return await read()

        monkeypatch.setattr(rejudgements, "get_rejudgings", counted)
        (begun,) = await gate.rejudge(rate=1)
        await until(lambda: looks > 10, timeout_s=30)
        (now,) = await read([begun.id])
        assert now.claims == 1
        assert (now.next_at - begun.next_at).total_seconds() >= 60


async def test_picture_deleted_meanwhile_is_gone(place: Place) -> None:
    red, blue = await place.publish(plain(RED), plain(BLUE))
    async with place.gate() as gate:
        storage = gate[STORAGE]
        whole = storage.get

        async def deletes(key: str) -> bytes:
            if red.job.media_id in key:
                await gate.delete_media(red.job.media_id)
            return await whole(key)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "get", deletes)
            done, _ = await rejudged(gate, "reject")
        assert (done.passed, done.fell, done.failed, done.gone) == (1, 0, 0, 1)
        assert (await gate.get_status(blue.job_id)).status is JobStatus.COMPLETE


async def test_worker_that_dies_each_time_fails_the_picture_and_keeps_it(place: Place) -> None:
    (red,) = await place.publish(plain(RED))
    async with place.gate(worker=False) as gate:
        records = gate[RECORDS]
        (rejudging,) = await gate.rejudge("avatar", action="reject", rate=FASTEST)
        (media,) = (await records.list_media("avatar", None, limit=9)).items
        now = await records.now()
        died = Rejudgement(
            "rej.died", rejudging.id, red.job_id, media.id, now, attempts=3, lease_owner="dead", lease_until=now
        )
        assert await records.rejudgements.draw(rejudging, media, now=now, next_at=now, claimed=died)
    async with place.gate() as gate:
        (done,) = await ended(gate, rejudging)
        assert done.failed == 1
        (failed,) = await gate.list_rejudgements(rejudging_id=rejudging.id)
        assert (failed.status, failed.code) == (Statuses.FAILED, "attempts_exhausted")
        assert (await gate.get_status(red.job_id)).status is JobStatus.COMPLETE


async def test_results_are_exported_and_erased_with_their_owner(any_place: Place, tmp_path: Path) -> None:
    (red,) = await any_place.publish(plain(RED))
    async with any_place.gate() as gate:
        await rejudged(gate, "review")
        exported = await gate.export(owner="ann", to=tmp_path / "ann.zip")
        with ZipFile(exported.path) as archive:
            (row,) = [json.loads(line) for line in archive.read("jobs.jsonl").splitlines()]
        (again,) = row["judgedAgain"]
        assert (again["status"], again["moderation"]["flags"], again["error"]) == ("REVIEW", ["red"], None)
        assert (await gate.erase(owner="ann")).complete
        assert await gate.list_rejudgements() == []
        with pytest.raises(JobNotFound):
            await gate.decide(red.job_id, "keep")


SWAPPED = "LUT_3D_SIZE 2\n0 0 0\n0 0 1\n0 1 0\n0 1 1\n1 0 0\n1 0 1\n1 1 0\n1 1 1\n"
"""Red and blue change places."""


@pytest.mark.parametrize("original", ["keep", "delete"])
async def test_rejudge_judges_files_that_steps_changed(any_place: Place, original: str) -> None:
    steps = ({"op": "lut", "cube": SWAPPED},)
    sizes = {"plain": VariantSpec(width=64), "swapped": VariantSpec(width=48, formats=("png", "webp"), steps=steps)}
    published = TOLERANT.model_copy(update={"variants": sizes, "original": original})
    blue, green = await any_place.publish(plain(BLUE), plain((10, 200, 10)), source=published)
    # The steps of today do not matter: the files are judged as they are.
    async with any_place.gate() as gate:
        done, results = await rejudged(gate, "list")
        assert (done.passed, done.fell, done.failed) == (1, 1, 0)
        assert results.keys() == {blue.job_id} != {green.job_id}
        verdict = results[blue.job_id].verdict
        assert verdict is not None
        assert verdict.flags == ("red",)
