"""Webhooks as receivers see them: real gates on real databases, real receivers on loopback; time is turned."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mediagate import EVENTS, RECORDS, STORAGE, EventType, Job, MediaGate, Settings, Source
from mediagate.cli.doctor import Finding, examine
from mediagate.errors import ConfigError, InvalidParameter, ProcessingRefused, StorageUnavailable
from mediagate.jobs import job_events
from mediagate.records import MemoryRecords, PrismaRecords, Settlement
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import LEASE, a_media
from mediagate.values import JobStatus, utcnow
from mediagate_plugins.webhooks import WEBHOOKS, Callbacks, Delivery, Endpoint, Replayed, webhooks
from mediagate_plugins.webhooks.schedule import JITTER, PAUSES_S, pause, retry_after_s
from tests.support import receiver as behave
from tests.support.receiver import Receiver, receiving, unused_port

pytestmark = pytest.mark.anyio

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of 24+ bytes.").decode()
BASE = "https://gate.example/image-pipeline"
LOOPBACK = ("127.0.0.0/8",)


class Clock:
    """The plugin's clock, which a test turns."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utcnow() + self.ahead

    def turn(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    async def now(_: object) -> datetime:
        return clock()

    monkeypatch.setattr("mediagate_plugins.webhooks.sender.Sender.now", now)
    return clock


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def local(receiver: Receiver | str, **options: Any) -> Endpoint:
    url = receiver if isinstance(receiver, str) else receiver.url
    return Endpoint(url, [SECRET], insecure_http=True, private_networks=LOOPBACK, **options)


@asynccontextmanager
async def open_gate(
    data_dir: Path, *, worker: bool = False, database_url: str | None = None, **options: Any
) -> AsyncIterator[MediaGate]:
    """A gate on an SQLite file that sends only when ``deliver_due`` says so, unless it has a worker."""
    gate = make_gate(data_dir, worker=worker, database_url=database_url)
    gate.register(webhooks, **options)
    async with gate:
        yield gate


def make_gate(data_dir: Path, *, worker: bool = False, **settings: Any) -> MediaGate:
    gate = MediaGate(
        sources={"avatar": Source()},
        settings=Settings(
            data_dir=data_dir, public_base_url=BASE, image_processes=1, migrate=True, worker=worker, **settings
        ),
        moderation="off",
    )
    gate.decorate(STORAGE, MemoryStorage())
    return gate


async def an_event(gate: MediaGate, photo: bytes, **fields: Any) -> str:
    """Let a job be cancelled, and return its id."""
    job_id = (await gate.upload(photo, source_type="avatar", source_id="u1", **fields)).job_id
    await gate.cancel(job_id)
    return job_id


def closed(schema: Any) -> Any:
    """Return a schema under which nothing may be there that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(part) for name, part in schema.items()}
    return inner | {"additionalProperties": False} if "properties" in schema else inner


async def test_every_end_is_told_signed_and_as_the_schema_says(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    gate = make_gate(tmp_path, worker=True)
    gate.register(webhooks, endpoints={"app": local(receiver)}, result_max_bytes=4000)

    async def judge(job: Job, verdict: object) -> None:
        if job.source_id == "bad":
            raise ProcessingRefused("not here")

    async def start(job: Job) -> None:
        if job.source_id == "late":
            await gate.cancel(job.id)

    gate.add_hook("pre_verdict", judge)
    gate.add_hook("pre_process", start)
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="https://gate.example") as client:
        pictures = {"good": photo, "bad": photo, "torn": photo[:600], "late": photo}
        said = {}
        for name, picture in pictures.items():
            sent = await gate.upload(picture, source_type="avatar", source_id=name, client_reference_id=f"ref-{name}")
            done = await gate.wait(sent.job_id, timeout_s=60)
            said[sent.job_id] = (await client.get(f"/status/{sent.job_id}?http=200")).json()
        await asyncio.to_thread(receiver.wait_for, 4)
        media = (await gate.list_media("avatar", "good")).items[0]
        fitting = [v for v in media.record.variants if v.bytes <= 4000]
        largest = max(fitting, key=lambda v: v.bytes)
        picture = await gate[STORAGE].get(largest.key)
        await gate.delete_media(media.id)
        received = await asyncio.to_thread(receiver.wait_for, 5)
        schema = (await client.get("/webhooks/event-schema")).json()
    assert done.status == "CANCELLED"
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(
        closed(schema), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    types = set()
    for one in received:
        body = Webhook(SECRET).verify(one.body, one.headers)
        validator.validate(body)
        types.add(body["type"])
        simple = hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest()
        assert one.headers["x-mediagate-signature"] == f"sha256={simple}"
        assert one.headers["content-type"] == "application/json"
        data = body["data"]
        if body["type"] == "media.deleted":
            assert data == {
                "jobId": media.record.job_id, "mediaId": media.id, "sourceType": "avatar", "sourceId": "good",
                "clientReferenceId": "ref-good",
            }  # fmt: skip
            continue
        if body["type"] == "job.completed":
            assert data["media"]["urls"]["xs"].startswith(f"{BASE}/media/avatar/good/")
            assert base64.b64decode(data.pop("resultBase64")) == picture
            assert data.pop("resultVariant") == largest.name
            assert data.pop("resultContentType") == "image/webp"
        said[data["jobId"]].pop("message", None)
        assert data == said[data["jobId"]], "the same JSON as GET /status answers, but for what people are told"
        assert body["timestamp"] == data["finishedAt"]
    assert types == set(EventType)
    assert len({one.id for one in received}) == 5


async def test_without_the_plugin_nothing_is_written(tmp_path: Path, photo: bytes) -> None:
    gate = make_gate(tmp_path, worker=False)
    async with gate:
        await an_event(gate, photo)
        assert await gate.parts.records.outbox(limit=9) == []


async def test_only_what_an_endpoint_asks_for_is_sent_signed_with_all_its_secrets(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    both = Endpoint(
        receiver.url, [OTHER, SECRET], events=["job.cancelled"], insecure_http=True, private_networks=LOOPBACK
    )
    with receiving() as stranger:
        endpoints = {"both": both, "other": local(stranger, events=["job.completed", "media.deleted"])}
        async with open_gate(tmp_path, endpoints=endpoints) as gate:
            assert gate[EVENTS] == {"job.cancelled", "job.completed", "media.deleted"}
            await an_event(gate, photo)
            assert await gate[WEBHOOKS].deliver_due() == 1
        assert stranger.received == []
    (one,) = receiver.received
    for secret in (OTHER, SECRET):
        assert Webhook(secret).verify(one.body, one.headers)["type"] == "job.cancelled"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(one.body, one.headers)
    # Whoever compares but one signature may still know the old secret alone.
    simple = hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest()
    assert one.headers["x-mediagate-signature"] == f"sha256={simple}"


async def test_bad_receivers_hold_up_nobody_and_are_tried_again(tmp_path: Path, photo: bytes, clock: Clock) -> None:
    asked = {"date": format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)}
    with (
        receiving() as trap,
        receiving() as good,
        receiving(behave.hang, behave.answer(200)) as slow,
        receiving(behave.trickle, behave.answer(200)) as trickling,
        receiving(behave.answer(500), behave.answer(503), behave.answer(200)) as failing,
        receiving(behave.answer(429, Retry_After="60"), behave.answer(200)) as busy,
        receiving(behave.answer(503, Retry_After=asked["date"]), behave.answer(200)) as away,
        receiving(behave.answer(302, Location=trap.url), behave.answer(200)) as redirecting,
        receiving(behave.huge) as talkative,
        receiving(behave.endless_headers, behave.answer(200)) as heady,
        receiving(behave.cut, behave.answer(200)) as cutting,
        receiving(behave.no_http, behave.answer(200)) as mail,
    ):
        down = f"http://127.0.0.1:{unused_port()}/"
        receivers: dict[str, Receiver | str] = {
            "good": good, "slow": slow, "trickling": trickling, "failing": failing, "busy": busy, "away": away,
            "redirecting": redirecting, "talkative": talkative, "heady": heady, "cutting": cutting, "mail": mail,
            "down": down,
        }  # fmt: skip
        endpoints = {name: local(receiver) for name, receiver in receivers.items()}
        async with open_gate(tmp_path, endpoints=endpoints, timeout_s=3) as gate:
            job_id = await an_event(gate, photo)
            assert await gate[WEBHOOKS].deliver_due() == len(endpoints)
            errors = {d.endpoint: d.error for d in await gate[WEBHOOKS].find(status="pending")}
            wrong = "the connection ended before a complete response (RemoteProtocolError)"
            assert errors == {
                "slow": "no response within 3 s",
                "trickling": "no response within 3 s",
                "failing": "answered 500",
                "busy": "answered 429",
                "away": "answered 503",
                "redirecting": "answered 302, and redirects are not followed",
                "heady": wrong,
                "cutting": wrong,
                "mail": wrong,
                "down": "connection failed",
            }
            assert trap.received == []
            assert talkative.bytes_sent < 2**27, "one gigabyte must not be read"
            assert await gate[WEBHOOKS].deliver_due() == 0, "nothing is due again before its pause is over"

            clock.turn(PAUSES_S[1] * (1 + JITTER) + 1)
            assert await gate[WEBHOOKS].deliver_due() == len(errors) - 2, "who asked for more time has it"
            clock.turn(60 * (1 + JITTER))
            assert await gate[WEBHOOKS].deliver_due() == 1
            left = {d.endpoint: (d.attempts, d.error) for d in await gate[WEBHOOKS].find(status="pending")}
            assert left == {
                "failing": (2, "answered 503"),
                "away": (1, "answered 503"),
                "down": (2, "connection failed"),
            }
            clock.turn(2 * 3600 * (1 + JITTER))
            assert await gate[WEBHOOKS].deliver_due() == 3
            assert [d.endpoint for d in await gate[WEBHOOKS].find(status="pending")] == ["down"]
            for receiver in (failing, busy, slow):
                assert len({one.id for one in receiver.received}) == 1, "every attempt has the same id"
            assert [int(one.headers["webhook-timestamp"]) for one in failing.received] == sorted(
                {int(one.headers["webhook-timestamp"]) for one in failing.received}
            ), "every attempt has its own time"
            assert {d.event.job_id for d in await gate[WEBHOOKS].find()} == {job_id}


async def test_ten_attempts_over_days_then_dead_and_replayed(tmp_path: Path, photo: bytes, clock: Clock) -> None:
    failures = [behave.answer(500)] * len(PAUSES_S)
    with receiving(*failures, behave.answer(200)) as receiver:
        async with open_gate(tmp_path, endpoints={"app": local(receiver)}) as gate:
            job_id = await an_event(gate, photo)
            hooks = gate[WEBHOOKS]
            assert await hooks.deliver_due() == 1
            for pause_s in PAUSES_S[1:]:
                (delivery,) = await hooks.find()
                wait_s = (delivery.due_at - (delivery.tried_at or clock())).total_seconds()
                assert pause_s <= wait_s <= pause_s * (1 + JITTER) + 60
                clock.turn(pause_s - 1 - (clock() - (delivery.tried_at or clock())).total_seconds())
                assert await hooks.deliver_due() == 0, "not before the pause is over"
                clock.turn(pause_s * JITTER + 2)
                assert await hooks.deliver_due() == 1
            (delivery,) = await hooks.find(status="dead")
            assert (delivery.attempts, delivery.error, delivery.answer) == (10, "answered 500", 500)
            assert clock.ahead > timedelta(days=3)
            clock.turn(10**7)
            assert await hooks.deliver_due() == 0, "what is dead stays so"

            with pytest.raises(InvalidParameter, match="say what to send again"):
                await hooks.replay()
            nothing, one = Replayed(0, 0, 0), Replayed(1, 0, 0)
            assert await hooks.replay(job_id="job_other") == nothing
            assert await hooks.replay(event_id=delivery.event.id, since=utcnow() + timedelta(hours=1)) == nothing
            assert await hooks.replay(dead=True) == one
            assert await hooks.deliver_due() == 1
            assert [d.status for d in await hooks.find(job_id=job_id)] == ["delivered"]
            assert await hooks.replay(dead=True) == nothing
            for which in ({"event_id": delivery.event.id}, {"job_id": job_id}, {"since": delivery.event.created_at}):
                assert await hooks.replay(**which) == one
                assert await hooks.deliver_due() == 1
            assert len(receiver.received) == 14
            assert {one.id for one in receiver.received} == {delivery.event.id}


def test_what_a_receiver_may_ask_for() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    asked = {
        "0": 0, "120": 120, "Sat, 31 Jan 2026 12:01:00 GMT": 60, "Sat, 31 Jan 2026 11:00:00 GMT": 0, "soon": None,
        "Sat, 31 Jan 2026 12:01:00 +99999999999999999999": None, "Sat, 31 Jan 99999999999999999999 12:01:00 GMT": None,
        "Sat, 31 Jan 2026 99999999999999999999:01:00 GMT": None, "Sat, 31 Jan 2026 12:01:00 +2500": None,
        "-5": None, "1.5": None, "٣": None, "9" * 99: None, "": None, None: None,
    }  # fmt: skip
    assert {header: retry_after_s(header, now) for header in asked} == asked
    assert timedelta(hours=24) <= (pause(1, asked_s=1e9) or timedelta()) <= timedelta(hours=24 * (1 + JITTER))
    assert timedelta(seconds=5) <= (pause(1, asked_s=1) or timedelta()) <= timedelta(seconds=5 * (1 + JITTER))
    assert pause(len(PAUSES_S), asked_s=1) is None


async def test_410_stops_an_endpoint_until_it_is_resumed(tmp_path: Path, photo: bytes, receiver: Receiver) -> None:
    with receiving(behave.answer(410), behave.answer(200)) as gone:
        async with open_gate(tmp_path, endpoints={"gone": local(gone), "app": local(receiver)}) as gate:
            hooks = gate[WEBHOOKS]
            for _ in range(2):
                await an_event(gate, photo)
                await hooks.deliver_due()
            assert [len(gone.received), len(receiver.received)] == [1, 2]
            dead = {d.error for d in await hooks.find(status="dead")}
            assert dead == {"answered 410", "the endpoint was stopped by a 410 before"}
            assert list(await hooks.stopped()) == ["gone"]
            assert await hooks.replay(dead=True) == Replayed(0, 2, 0), "nothing is sent again to who is gone"
            with pytest.raises(ConfigError, match="no endpoint is called 'nobody'"):
                await hooks.resume("nobody")
            assert await hooks.resume("gone")
            assert not await hooks.resume("gone")
            assert await hooks.replay(dead=True) == Replayed(2, 0, 0)
            assert await hooks.deliver_due() == 2
            assert len({one.id for one in gone.received}) == 2


async def test_doctor_tells_an_endpoint_that_is_stopped(tmp_path: Path, photo: bytes, receiver: Receiver) -> None:
    async def finding(gate: MediaGate) -> Finding:
        return next(iter([found async for found in examine(gate) if found.part == "webhooks"]))

    with receiving(behave.answer(410)) as gone:
        async with open_gate(tmp_path, endpoints={"gone": local(gone), "app": local(receiver)}) as gate:
            await an_event(gate, photo)
            await gate[WEBHOOKS].deliver_due()
        stopped = await finding(gate)
        assert not stopped.ok
        assert re.search(
            r"stopped, because they answered 410 Gone: 'gone' since 20\S+Z; .*webhooks resume", stopped.text
        )
        assert "'app'" not in stopped.text
        async with gate:
            await gate[WEBHOOKS].resume("gone")
        assert await finding(gate) == Finding(
            "webhooks", True, "2 endpoints, their hosts may be reached, none is stopped; callbacks to: none"
        )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_two_gates_share_the_work(
    kind: str, tmp_path: Path, photo: bytes, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    url = f"file:{tmp_path / 'shared.db'}" if kind == "sqlite" else str(request.getfixturevalue("own_postgres_url"))
    options: dict[str, Any] = {"database_url": url, "endpoints": {"app": local(receiver)}}
    async with open_gate(tmp_path / "one", **options) as one, open_gate(tmp_path / "two", **options) as two:
        jobs = {await an_event(gate, photo) for gate in (one, two) for _ in range(12)}
        made = await asyncio.gather(*(gate[WEBHOOKS].deliver_due() for gate in (one, two, one, two)))
        while len(receiver.received) < len(jobs):
            assert await one[WEBHOOKS].deliver_due() + await two[WEBHOOKS].deliver_due()
        assert sum(made) <= len(jobs)
    assert len(receiver.received) == len({one.id for one in receiver.received}) == len(jobs)
    assert {json.loads(one.body)["data"]["jobId"] for one in receiver.received} == jobs


async def test_who_dies_while_sending_is_replaced_when_its_claim_runs_out(
    tmp_path: Path, photo: bytes, clock: Clock
) -> None:
    with receiving(behave.hang, behave.answer(200)) as receiver:
        async with open_gate(tmp_path, endpoints={"app": local(receiver)}, timeout_s=30) as gate:
            await an_event(gate, photo)
            hooks = gate[WEBHOOKS]
            dying = asyncio.create_task(hooks.deliver_due())
            await asyncio.to_thread(receiver.wait_for, 1)
            assert await hooks.deliver_due() == 0, "it is claimed"
            clock.turn(30 + 61)
            assert await hooks.deliver_due() == 1
            (delivery,) = await hooks.find()
            assert (delivery.status, delivery.attempts) == ("delivered", 2)
            receiver.closing.set()
            await dying
            assert (await hooks.find()) == [delivery], "who lost its claim changes nothing"
            assert len({one.id for one in receiver.received}) == 1


async def test_closing_gives_back_what_takes_too_long(tmp_path: Path, photo: bytes) -> None:
    with receiving(behave.hang, behave.answer(200)) as receiver:
        endpoints = {"app": local(receiver)}
        gate = make_gate(tmp_path, worker=True, drain_timeout_s=0)
        gate.register(webhooks, endpoints=endpoints)
        async with gate:
            await gate.upload(photo[:600], source_type="avatar", source_id="u1")
            await asyncio.to_thread(receiver.wait_for, 1)
        async with open_gate(tmp_path, endpoints=endpoints) as again:
            assert [(d.attempts, d.status) for d in await again[WEBHOOKS].find()] == [(0, "pending")]
            assert await again[WEBHOOKS].deliver_due() == 1
    assert len({one.id for one in receiver.received}) == 1


async def test_what_has_arrived_everywhere_is_forgotten_and_what_is_dead_is_kept(
    tmp_path: Path, photo: bytes, receiver: Receiver, clock: Clock
) -> None:
    with receiving(behave.answer(410)) as gone:
        endpoints = {"app": local(receiver), "gone": local(gone, events=["job.failed"])}
        gate = make_gate(tmp_path, worker=True)
        gate.register(webhooks, endpoints=endpoints, keep_days=1)
        async with gate:
            await gate.upload(photo[:600], source_type="avatar", source_id="u1")
            await asyncio.to_thread(receiver.wait_for, 1)
            await asyncio.to_thread(gone.wait_for, 1)
            await an_event_of_a_working_gate(gate, photo)
            await asyncio.to_thread(receiver.wait_for, 2)
            await until(gate, lambda found: [d.status for d in found].count("pending") == 0 and len(found) == 3)
        clock.turn(2 * 24 * 3600)
        gate = make_gate(tmp_path, worker=True)
        gate.register(webhooks, endpoints=endpoints, keep_days=1)
        async with gate:
            await until(gate, lambda found: len(found) < 3)
            assert {d.event.type for d in await gate[WEBHOOKS].find()} == {EventType.JOB_FAILED}


async def until(gate: MediaGate, so: Callable[[list[Delivery]], bool]) -> None:
    """Ask until the deliveries on record stand so."""
    async with asyncio.timeout(60):
        while True:
            if so(await gate[WEBHOOKS].find()):
                return
            await asyncio.sleep(0.05)


async def an_event_of_a_working_gate(gate: MediaGate, photo: bytes) -> None:
    sent = await gate.upload(photo, source_type="avatar", source_id="u2")
    await gate.wait(sent.job_id, timeout_s=60)


async def test_a_completed_job_whose_picture_was_deleted_before(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    async with open_gate(tmp_path, endpoints={"app": local(receiver)}) as gate:
        job_id = await completed(gate, photo)
        await gate.delete_media((await gate.list_media("avatar")).items[0].id)
        assert await gate[WEBHOOKS].deliver_due() == 2
        bodies = {(body := json.loads(one.body))["type"]: body["data"] for one in receiver.received}
        assert bodies["job.completed"]["jobId"] == bodies["media.deleted"]["jobId"] == job_id
        assert bodies["job.completed"]["media"] is None
        validator = jsonschema.Draft202012Validator(await schema_of(gate))
        for one in receiver.received:
            validator.validate(json.loads(one.body))


async def test_a_job_that_completed_elsewhere_after_it_had_failed_here_is_told_with_its_media(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    options: dict[str, Any] = {"database_url": f"file:{tmp_path / 'shared.db'}", "endpoints": {"app": local(receiver)}}
    async with open_gate(tmp_path / "one", **options) as one, open_gate(tmp_path / "two", **options) as two:
        job_id = await failed(one, photo)
        assert (await one.get_status(job_id)).status == "FAILED", "which it remembers for a while"
        assert await two.parts.records.requeue(job_id, now=utcnow()) is not None
        await complete(two, job_id)
        assert await one[WEBHOOKS].deliver_due() == 2
    bodies = {(body := json.loads(one.body))["type"]: body["data"] for one in receiver.received}
    assert bodies["job.completed"]["status"] == "COMPLETE"
    assert bodies["job.completed"]["media"]["urls"]["thumb"].startswith(f"{BASE}/media/")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_what_is_for_an_endpoint_that_was_taken_away_is_given_up_and_forgotten(
    kind: str,
    tmp_path: Path,
    photo: bytes,
    receiver: Receiver,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    url = f"file:{tmp_path / 'kept.db'}" if kind == "sqlite" else str(request.getfixturevalue("own_postgres_url"))
    with receiving(behave.answer(500)) as failing:
        endpoints = {"app": local(receiver), "old": local(failing, events=["job.failed"])}
        async with open_gate(tmp_path, database_url=url, endpoints=endpoints) as gate:
            await an_event(gate, photo)
            await failed(gate, photo)
            assert await gate[WEBHOOKS].deliver_due() == 3
    del endpoints["old"]

    @asynccontextmanager
    async def later(*, days: float, keep_days: float) -> AsyncIterator[MediaGate]:
        clock.turn(days * 24 * 3600)
        gate = make_gate(tmp_path, worker=True, database_url=url)
        gate.register(webhooks, endpoints=endpoints, keep_days=keep_days)
        async with gate:
            yield gate

    async with later(days=2, keep_days=1) as gate:
        await until(gate, lambda found: len(found) == 2)  # what has arrived everywhere was forgotten
        assert {d.endpoint: d.status for d in await gate[WEBHOOKS].find()} == {"app": "delivered", "old": "pending"}
    clock.turn(-1.5 * 24 * 3600)
    for name in ("POLL_S", "FORGET_EVERY_S"):
        monkeypatch.setattr(f"mediagate_plugins.webhooks.sender.{name}", 0.05)
    async with later(days=0, keep_days=7) as gate:
        await asyncio.sleep(1)
        (waiting,) = await gate[WEBHOOKS].find(status="pending")
        assert (waiting.endpoint, waiting.error) == ("old", "answered 500"), "a newer process may still know it"
        assert await gate[WEBHOOKS].replay(job_id=waiting.event.job_id) == Replayed(1, 0, 1)
        assert await gate[WEBHOOKS].find(status="pending") != [], "it stays as it was"
    async with later(days=1, keep_days=7) as gate:
        await until(gate, lambda found: not [d for d in found if d.status == "pending"])
        (dead,) = await gate[WEBHOOKS].find(status="dead")
        assert (dead.endpoint, dead.error) == ("old", "no endpoint of this name is configured any more")
        assert await gate[WEBHOOKS].replay(dead=True) == Replayed(0, 0, 1)
    async with later(days=7, keep_days=7) as gate:
        await until(gate, lambda found: found == [])


async def test_links_to_private_pictures_are_signed(tmp_path: Path, photo: bytes, receiver: Receiver) -> None:
    gate = make_gate(tmp_path)
    gate.sources["avatar"] = Source(visibility="private")
    gate.register(webhooks, endpoints={"app": local(receiver)})
    async with gate:
        await completed(gate, photo)
        await gate[WEBHOOKS].deliver_due()
        body = json.loads(receiver.received[0].body)
        jsonschema.Draft202012Validator(closed(await schema_of(gate))).validate(body)
    media = body["data"]["media"]
    assert media["urls"]["thumb"].startswith(f"{BASE}/media/")
    assert "&signature=" in media["urls"]["thumb"]
    assert datetime.fromisoformat(media["urlsExpireAt"]) > utcnow()


async def schema_of(gate: MediaGate) -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="https://gate.example") as client:
        return (await client.get("/webhooks/event-schema")).json()


async def completed(gate: MediaGate, photo: bytes) -> str:
    """Complete a job on the records alone, as a worker elsewhere would."""
    job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
    await complete(gate, job_id)
    return job_id


async def complete(gate: MediaGate, job_id: str) -> None:
    now = utcnow()
    job = await gate.parts.records.claim(job_id, owner="w", now=now, lease_until=now + LEASE)
    assert job is not None
    settlement = Settlement(JobStatus.COMPLETE, a_media(job))
    events_of = partial(job_events, parts=gate.parts)
    assert await gate.parts.records.settle(job, owner="w", now=now, settlement=settlement, events_of=events_of)


async def failed(gate: MediaGate, photo: bytes) -> str:
    """Let a job use up its attempts, and return its id."""
    job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
    for _ in range(gate.settings.max_attempts):
        now = utcnow()
        assert await gate.parts.records.claim(job_id, owner="w", now=now, lease_until=now) is not None
    assert (await gate.runtime.janitor.sweep_jobs()).failed == [job_id]
    return job_id


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_secrets_stay_where_they_are(tmp_path: Path, photo: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = SECRET.removeprefix("whsec_")
    with receiving(behave.answer(500), behave.answer(200)) as receiver:
        endpoint = local(f"{receiver.url}/T0KEN?t=T0KEN")
        async with open_gate(tmp_path, endpoints={"app": endpoint}) as gate:
            await an_event(gate, photo)
            await gate[WEBHOOKS].deliver_due()
            await gate[WEBHOOKS].replay(dead=False, since=datetime(2020, 1, 1, tzinfo=UTC))
            await gate[WEBHOOKS].deliver_due()
            seen = repr(await gate[WEBHOOKS].find()) + repr(endpoint) + repr(Callbacks([SECRET]))
        assert receiver.received[1].path == "/hook/T0KEN?t=T0KEN"
        seen += caplog.text + "".join(str(vars(record)) for record in caplog.records)
        stored = await asyncio.to_thread(everything_in, tmp_path)
    assert b"job.cancelled" in stored
    for hidden in (key, "T0KEN"):
        assert hidden not in seen
        assert hidden.encode() not in stored
    with pytest.raises(ConfigError) as caught:
        Endpoint("https://example.com", [SECRET[:-9]])
    assert SECRET[:-9] not in str(caught.value)


def test_wrong_options_say_what_to_do() -> None:
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: Endpoint("http://example.com", [SECRET]), "insecure_http=True"),
        (lambda: Endpoint("ftp://example.com", [SECRET]), "begin with https"),
        (lambda: Endpoint("https://u:p@example.com", [SECRET]), "must not contain a user name"),
        (lambda: Endpoint("https://exa mple.com", [SECRET]), "printable ASCII"),
        (lambda: Endpoint("https://example.com:99999", [SECRET]), "host or port"),
        (lambda: Endpoint("https://[::1", [SECRET]), "host or port"),
        (lambda: Endpoint("https://", [SECRET]), "host or port"),
        (lambda: Endpoint("https://bücher.example", [SECRET]), "punycode"),
        (lambda: Endpoint("https://example.com", []), "at least one"),
        (lambda: Endpoint("https://example.com", SECRET), "give a list"),
        (lambda: Endpoint("https://example.com", ["whsec_c2hvcnQ="]), "24 to 64 random bytes"),
        (lambda: Endpoint("https://example.com", ["whsec_" + "ü" * 32]), "24 to 64 random bytes"),
        (lambda: Endpoint("https://example.com", [SECRET], events=["job.done"]), "job.completed"),
        (lambda: Endpoint("https://example.com", [SECRET], events=[]), "job.completed"),
        (lambda: Endpoint("https://example.com", [SECRET], private_networks=["10.0.0.1/8"]), "10.0.0.0/8"),
        (lambda: Callbacks([SECRET], hosts=["https://example.com"]), "names in lower case"),
    ]
    for make, said in cases:
        with pytest.raises(ConfigError, match=said):
            make()


async def test_a_gate_that_could_not_send_does_not_start(tmp_path: Path) -> None:
    endpoint = Endpoint("https://example.com", [SECRET])
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "give endpoints, callbacks or both"),
        ({"endpoints": {"callback": endpoint}}, "use another"),
        ({"endpoints": {"A b": endpoint}}, "use a-z"),
        ({"endpoints": {"app": endpoint}, "timeout_s": 0}, "above 0"),
        ({"endpoints": {"app": endpoint}, "timeout_s": float("inf")}, "at most 3,600"),
        ({"endpoints": {"app": endpoint}, "keep_days": 1e12}, "at most 36,500"),
        ({"endpoints": {"app": endpoint}, "keep_days": float("nan")}, "at most 36,500"),
        ({"endpoints": {"app": endpoint}, "callbacks": Callbacks([OTHER, SECRET])}, "'app': it has a secret of"),
        ({"endpoints": {"app": endpoint}, "ca_file": tmp_path / "none.pem"}, "ca_file"),
    ]
    for options, said in cases:
        with pytest.raises(ConfigError, match=said):
            gate = make_gate(tmp_path)
            gate.register(webhooks, **options)
            async with gate.assembled():
                pass
    gate = make_gate(tmp_path)
    gate.decorate(RECORDS, MemoryRecords())
    gate.register(webhooks, endpoints={"app": endpoint})
    with pytest.raises(ConfigError, match="PrismaRecords"):
        await gate.open()
    cdn = Settings(data_dir=tmp_path, public_url="https://cdn.example", worker=False)
    for sources, relative in (
        (
            {"avatar": Source(), "id": Source(visibility="private")},
            "files of id would be relative; set public_base_url",
        ),
        ({"avatar": Source()}, None),
    ):
        gate = MediaGate(sources=sources, settings=cdn, moderation="off")
        gate.register(webhooks, endpoints={"app": endpoint})
        if relative is None:
            async with gate:
                pass
        else:
            with pytest.raises(ConfigError, match=relative):
                await gate.open()


async def test_our_own_fault_costs_no_attempt(
    tmp_path: Path, photo: bytes, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_gate(tmp_path, endpoints={"app": local(receiver)}, result_max_bytes=10**6) as gate:
        await completed(gate, photo)
        storage_get = gate[STORAGE].get

        async def down(key: str) -> bytes:
            raise StorageUnavailable("the storage does not answer")

        monkeypatch.setattr(gate[STORAGE], "get", down)
        assert await gate[WEBHOOKS].deliver_due() == 1
        assert [(d.status, d.attempts) for d in await gate[WEBHOOKS].find()] == [("pending", 0)]
        monkeypatch.setattr(gate[STORAGE], "get", storage_get)
        assert await gate[WEBHOOKS].deliver_due() == 0
        clock.turn(31)
        assert await gate[WEBHOOKS].deliver_due() == 1
        assert len(receiver.received) == 1


async def test_records_of_prisma_keep_the_events_of_a_job_that_is_tried_again(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    async with open_gate(tmp_path, endpoints={"app": local(receiver)}) as gate:
        assert isinstance(gate[RECORDS], PrismaRecords)
        job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
        for _ in range(2):
            for _ in range(gate.settings.max_attempts):
                now = utcnow()
                claimed = await gate[RECORDS].claim(job_id, owner="w", now=now, lease_until=now)
                assert claimed is not None
            assert (await gate.runtime.janitor.sweep_jobs()).failed == [job_id]
            await gate.retry(job_id)
        assert await gate[WEBHOOKS].deliver_due() == 2
    bodies = [json.loads(one.body) for one in receiver.received]
    assert [body["type"] for body in bodies] == ["job.failed"] * 2
    assert [body["data"]["code"] for body in bodies] == ["attempts_exhausted"] * 2
    assert len({one.id for one in receiver.received}) == 2
