"""Webhooks as receivers see them: real gates on real databases, real receivers on loopback, a clock that tests set."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mediagate import EVENTS, RECORDS, STORAGE, Erased, EventType, Job, MediaGate, Settings, Source
from mediagate.cli.doctor import Finding, examine
from mediagate.errors import ConfigError, InvalidParameter, ProcessingRefused, StorageUnavailable
from mediagate.jobs import job_events
from mediagate.records import Database, MemoryRecords, PrismaRecords, Settlement
from mediagate.storage import MemoryStorage
from mediagate.testing.record_samples import LEASE, a_media
from mediagate.values import JobStatus, Media, utcnow
from mediagate_plugins.webhooks import WEBHOOKS, Callbacks, Delivery, Endpoint, Replayed, webhooks
from mediagate_plugins.webhooks.deliveries import Deliveries
from mediagate_plugins.webhooks.schedule import JITTER, PAUSES_S, pause, retry_after_s
from tests.support import receiver as behave
from tests.support.forked import SHARED
from tests.support.ports import free_port
from tests.support.receiver import Received, Receiver, receiving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of 24+ bytes.").decode()
BASE = "https://gate.example/image-pipeline"
LOOPBACK = ("127.0.0.0/8",)


class Clock:
    """The plugin's clock: it stands still until a test turns it, however long an attempt takes."""

    def __init__(self) -> None:
        self.began = utcnow()
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return self.began + self.ahead

    def turn(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


def set_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    async def now(_: object) -> datetime:
        return clock()

    monkeypatch.setattr("mediagate_plugins.webhooks.sender.Sender.now", now)
    return clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


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
    """A gate with the plugin; without a worker it sends only when ``deliver_due`` is called."""
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
    gate.fork_server = SHARED
    gate.decorate(STORAGE, MemoryStorage())
    return gate


async def an_event(gate: MediaGate, photo: bytes, **fields: Any) -> str:
    """Upload a photo and cancel its job; return the job's id."""
    job_id = (await gate.upload(photo, source_type="avatar", source_id="u1", **fields)).job_id
    await gate.cancel(job_id)
    return job_id


def closed(schema: Any) -> Any:
    """Return the schema with every additional property forbidden."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(part) for name, part in schema.items()}
    return inner | {"additionalProperties": False} if "properties" in schema else inner


@dataclass(frozen=True)
class Told:
    """The webhooks about four jobs that ended differently and one deletion, and what the gate says of these."""

    received: list[Received]
    statuses: dict[str, Any]
    """The answers of ``GET /status`` by job id."""
    media: Media
    picture: bytes
    """The largest variant within ``result_max_bytes``."""
    picture_name: str
    schema: Any

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(one.body) for one in self.received]

    def data_of(self, event_type: str) -> Any:
        [data] = [body["data"] for body in self.bodies if body["type"] == event_type]
        return data


@pytest.fixture(scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Told:
    async def judge(job: Job, verdict: object) -> None:
        if job.source_id == "bad":
            raise ProcessingRefused("not here")

    async def start(job: Job) -> None:
        if job.source_id == "late":
            await gate.cancel(job.id)

    gate = make_gate(tmp_path_factory.mktemp("told"), worker=True)
    gate.add_hook("pre_verdict", judge)
    gate.add_hook("pre_process", start)
    with receiving() as receiver:
        gate.register(webhooks, endpoints={"app": local(receiver)}, result_max_bytes=4000)
        transport = httpx.ASGITransport(gate)
        async with gate, httpx.AsyncClient(transport=transport, base_url="https://gate.example") as client:
            pictures = {"good": photo, "bad": photo, "torn": photo[:600], "late": photo}
            statuses = {}
            for name, picture in pictures.items():
                sent = await gate.upload(
                    picture, source_type="avatar", source_id=name, client_reference_id=f"ref-{name}", owner="ann"
                )
                await gate.wait(sent.job_id, timeout_s=60)
                statuses[sent.job_id] = (await client.get(f"/status/{sent.job_id}?http=200")).json()
            await asyncio.to_thread(receiver.wait_for, 4)
            media = (await gate.list_media("avatar", "good")).items[0]
            largest = max((v for v in media.record.variants if v.bytes <= 4000), key=lambda v: v.bytes)
            picture = await gate[STORAGE].get(largest.key)
            await gate.delete_media(media.id)
            received = await asyncio.to_thread(receiver.wait_for, 5)
            schema = (await client.get("/webhooks/event-schema")).json()
    return Told(received, statuses, media.record, picture, largest.name, schema)


async def test_every_event_type_is_sent_with_an_id_of_its_own(told: Told) -> None:
    assert [status["status"] for status in told.statuses.values()] == ["COMPLETE", "REJECTED", "FAILED", "CANCELLED"]
    assert {body["type"] for body in told.bodies} == set(EventType) - {EventType.BATCH_COMPLETED}
    assert len({one.id for one in told.received}) == len(told.received) == 5


async def test_every_event_is_signed_as_standard_webhooks_and_simply(told: Told) -> None:
    for one in told.received:
        assert Webhook(SECRET).verify(one.body, one.headers) == json.loads(one.body)
        simple = hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest()
        assert one.headers["x-mediagate-signature"] == f"sha256={simple}"
        assert one.headers["content-type"] == "application/json"


async def test_every_event_matches_the_schema_and_has_nothing_else(told: Told) -> None:
    validator = jsonschema.Draft202012Validator
    validator.check_schema(told.schema)
    strict = validator(closed(told.schema), format_checker=validator.FORMAT_CHECKER)
    for body in told.bodies:
        strict.validate(body)


async def test_job_events_carry_the_answer_of_get_status(told: Told) -> None:
    """The result, the owner and the message for people are in one of the two only."""
    job_events = [body for body in told.bodies if body["type"] != "media.deleted"]
    assert {body["data"]["jobId"] for body in job_events} == told.statuses.keys()
    for body in job_events:
        data = {name: value for name, value in body["data"].items() if not name.startswith(("result", "owner"))}
        status = {name: value for name, value in told.statuses[data["jobId"]].items() if name != "message"}
        assert data == status
        assert body["timestamp"] == data["finishedAt"]
        assert body["data"]["owner"] == "ann"


async def test_job_completed_event_carries_the_largest_fitting_variant(told: Told) -> None:
    data = told.data_of("job.completed")
    assert data["media"]["urls"]["xs"].startswith(f"{BASE}/media/avatar/good/")
    assert base64.b64decode(data["resultBase64"]) == told.picture
    assert data["resultVariant"] == told.picture_name
    assert data["resultContentType"] == "image/webp"
    assert [body["type"] for body in told.bodies if "resultBase64" in body["data"]] == ["job.completed"]


async def test_job_completed_event_carries_url_type_and_size_of_the_largest_variant(told: Told) -> None:
    data = told.data_of("job.completed")
    largest = max(data["media"]["variants"], key=lambda variant: variant["width"] * variant["height"])
    assert data["result"] == {
        **{name: largest[name] for name in ("name", "url", "bytes", "width", "height")},
        "mimeType": "image/webp",
    }
    assert data["result"]["url"].startswith(f"{BASE}/media/avatar/good/")
    assert [body["type"] for body in told.bodies if "result" in body["data"]] == ["job.completed"]


async def test_media_deleted_event_names_job_media_and_source(told: Told) -> None:
    assert told.data_of("media.deleted") == {
        "jobId": told.media.job_id,
        "mediaId": told.media.id,
        "sourceType": "avatar",
        "sourceId": "good",
        "clientReferenceId": "ref-good",
    }


async def test_outbox_stays_empty_without_the_plugin(tmp_path: Path, photo: bytes) -> None:
    gate = make_gate(tmp_path, worker=False)
    async with gate:
        await an_event(gate, photo)
        assert await gate.parts.records.outbox(limit=9) == []


async def test_endpoint_gets_only_its_events_signed_with_all_its_secrets(
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
    # The simple signature uses the last secret, which an old receiver may know alone.
    simple = hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest()
    assert one.headers["x-mediagate-signature"] == f"sha256={simple}"


BAD: dict[str, list[behave.Behaviour]] = {
    "good": [],
    "slow": [behave.hang, behave.answer(200)],
    "trickling": [behave.trickle, behave.answer(200)],
    "failing": [behave.answer(500), behave.answer(503), behave.answer(200)],
    "busy": [behave.answer(429, Retry_After="60"), behave.answer(200)],
    "talkative": [behave.huge],
    "heady": [behave.endless_headers, behave.answer(200)],
    "cutting": [behave.cut, behave.answer(200)],
    "mail": [behave.no_http, behave.answer(200)],
}


@dataclass
class Rounds:
    """One event to good and bad receivers, in four rounds of attempts, each after a longer pause."""

    receivers: dict[str, Receiver] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    """How many attempts each call of ``deliver_due`` made; the second call follows without a pause."""
    pending: list[list[Delivery]] = field(default_factory=list)
    """The deliveries that were pending after each round."""
    job_id: str = ""
    """The job of the event."""
    job_ids: set[str] = field(default_factory=set)
    """The jobs of all deliveries."""


@pytest.fixture(scope="module")
async def rounds(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Rounds:
    rounds = Rounds()
    with pytest.MonkeyPatch.context() as monkeypatch, ExitStack() as stack:
        clock = set_clock(monkeypatch)
        trap = stack.enter_context(receiving())
        in_two_hours = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
        behaviours = BAD | {
            "away": [behave.answer(503, Retry_After=in_two_hours), behave.answer(200)],
            "redirecting": [behave.answer(302, Location=trap.url), behave.answer(200)],
        }
        receivers = {name: stack.enter_context(receiving(*behaviour)) for name, behaviour in behaviours.items()}
        rounds.receivers = receivers | {"trap": trap}
        endpoints = {name: local(receiver) for name, receiver in receivers.items()}
        endpoints["down"] = local(f"http://127.0.0.1:{free_port()}/")
        folder = tmp_path_factory.mktemp("rounds")
        async with open_gate(folder, endpoints=endpoints, timeout_s=3) as gate:
            hooks = gate[WEBHOOKS]
            rounds.job_id = await an_event(gate, photo)
            for pause_s in (0, 0, PAUSES_S[1], 60, 2 * 3600):
                clock.turn(pause_s and pause_s * (1 + JITTER) + 1)
                rounds.made.append(await hooks.deliver_due())
                rounds.pending.append(await hooks.find(status="pending"))
            rounds.job_ids = {delivery.event.job_id for delivery in await hooks.find()}
    return rounds


async def test_failed_attempt_is_recorded_with_its_reason(rounds: Rounds) -> None:
    broken_off = "the connection ended before a complete response (RemoteProtocolError)"
    assert rounds.made[0] == 12
    assert {delivery.endpoint: delivery.error for delivery in rounds.pending[0]} == {
        "slow": "no response within 3 s",
        "trickling": "no response within 3 s",
        "failing": "answered 500",
        "busy": "answered 429",
        "away": "answered 503",
        "redirecting": "answered 302, and redirects are not followed",
        "heady": broken_off,
        "cutting": broken_off,
        "mail": broken_off,
        "down": "connection failed",
    }


async def test_delivery_goes_to_every_endpoint_for_the_one_event(rounds: Rounds) -> None:
    assert rounds.job_ids == {rounds.job_id}
    assert all(receiver.received for name, receiver in rounds.receivers.items() if name != "trap")


async def test_redirect_is_not_followed(rounds: Rounds) -> None:
    assert rounds.receivers["trap"].received == []


async def test_huge_answer_is_not_read(rounds: Rounds) -> None:
    assert rounds.receivers["talkative"].bytes_sent < 2**27


async def test_failed_delivery_is_not_retried_before_its_pause_is_over(rounds: Rounds) -> None:
    assert rounds.made[1] == 0


async def test_failed_delivery_is_retried_after_its_pause_or_retry_after(rounds: Rounds) -> None:
    """After the first pause all but two are retried: ``busy`` and ``away`` have asked for more time."""
    assert rounds.made[2:] == [8, 1, 3]
    left = {delivery.endpoint: (delivery.attempts, delivery.error) for delivery in rounds.pending[3]}
    assert left == {"failing": (2, "answered 503"), "away": (1, "answered 503"), "down": (2, "connection failed")}
    assert [delivery.endpoint for delivery in rounds.pending[4]] == ["down"]


async def test_attempts_have_one_id_and_a_timestamp_each(rounds: Rounds) -> None:
    for name in ("failing", "busy", "slow"):
        assert len({one.id for one in rounds.receivers[name].received}) == 1
    times = [int(one.headers["webhook-timestamp"]) for one in rounds.receivers["failing"].received]
    assert times == sorted(set(times))


async def test_delivery_is_dead_after_ten_attempts_and_can_be_replayed(
    tmp_path: Path, photo: bytes, clock: Clock
) -> None:
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
                assert await hooks.deliver_due() == 0, "no attempt before the pause is over"
                clock.turn(pause_s * JITTER + 2)
                assert await hooks.deliver_due() == 1
            (delivery,) = await hooks.find(status="dead")
            assert (delivery.attempts, delivery.error, delivery.answer) == (10, "answered 500", 500)
            assert clock.ahead > timedelta(days=3)
            clock.turn(10**7)
            assert await hooks.deliver_due() == 0, "a dead delivery stays dead"

            with pytest.raises(InvalidParameter, match="select the events to send again"):
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


def test_retry_after_is_parsed_and_bounded() -> None:
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


async def test_endpoint_that_answers_410_is_stopped_until_resumed(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    with receiving(behave.answer(410), behave.answer(200)) as gone:
        async with open_gate(tmp_path, endpoints={"gone": local(gone), "app": local(receiver)}) as gate:
            hooks = gate[WEBHOOKS]
            for _ in range(2):
                await an_event(gate, photo)
                await hooks.deliver_due()
            assert [len(gone.received), len(receiver.received)] == [1, 2]
            dead = {d.error for d in await hooks.find(status="dead")}
            assert dead == {"answered 410", "the endpoint was stopped by an earlier 410"}
            assert list(await hooks.stopped()) == ["gone"]
            assert await hooks.replay(dead=True) == Replayed(0, 2, 0), "a stopped endpoint is left out of the replay"
            with pytest.raises(ConfigError, match="endpoint 'nobody' not found"):
                await hooks.resume("nobody")
            assert await hooks.resume("gone")
            assert not await hooks.resume("gone")
            assert await hooks.replay(dead=True) == Replayed(2, 0, 0)
            assert await hooks.deliver_due() == 2
            assert len({one.id for one in gone.received}) == 2


async def test_doctor_reports_a_stopped_endpoint(tmp_path: Path, photo: bytes, receiver: Receiver) -> None:
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
            "webhooks",
            True,
            "2 endpoints, their hosts resolve to allowed addresses, none is stopped; callbacks to: none",
        )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_two_gates_deliver_each_event_once(
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


async def test_delivery_claim_of_a_dead_sender_expires(tmp_path: Path, photo: bytes, clock: Clock) -> None:
    with receiving(behave.hang, behave.answer(200)) as receiver:
        async with open_gate(tmp_path, endpoints={"app": local(receiver)}, timeout_s=30) as gate:
            await an_event(gate, photo)
            hooks = gate[WEBHOOKS]
            dying = asyncio.create_task(hooks.deliver_due())
            await asyncio.to_thread(receiver.wait_for, 1)
            assert await hooks.deliver_due() == 0, "the delivery is claimed"
            clock.turn(30 + 61)
            assert await hooks.deliver_due() == 1
            (delivery,) = await hooks.find()
            assert (delivery.status, delivery.attempts) == ("delivered", 2)
            receiver.closing.set()
            await dying
            assert (await hooks.find()) == [delivery], "a sender without its claim changes nothing"
            assert len({one.id for one in receiver.received}) == 1


async def test_close_puts_back_a_delivery_that_takes_too_long(tmp_path: Path, photo: bytes) -> None:
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


async def test_keep_days_forgets_delivered_events_and_keeps_dead_ones(
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


async def until(gate: MediaGate, so: Callable[[list[Delivery]], bool]) -> list[Delivery]:
    """Poll until the deliveries on record satisfy a condition; return them."""
    async with asyncio.timeout(60):
        while True:
            if so(found := await gate[WEBHOOKS].find()):
                return found
            await asyncio.sleep(0.05)


async def an_event_of_a_working_gate(gate: MediaGate, photo: bytes) -> None:
    sent = await gate.upload(photo, source_type="avatar", source_id="u2")
    await gate.wait(sent.job_id, timeout_s=60)


async def test_job_completed_event_of_deleted_media_has_no_media(
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


async def test_job_completed_event_ignores_a_remembered_failure(
    tmp_path: Path, photo: bytes, receiver: Receiver
) -> None:
    options: dict[str, Any] = {"database_url": f"file:{tmp_path / 'shared.db'}", "endpoints": {"app": local(receiver)}}
    async with open_gate(tmp_path / "one", **options) as one, open_gate(tmp_path / "two", **options) as two:
        job_id = await failed(one, photo)
        assert (await one.get_status(job_id)).status == "FAILED", "the gate remembers the status for a while"
        assert await two.parts.records.requeue(job_id, now=utcnow()) is not None
        await complete(two, job_id)
        assert await one[WEBHOOKS].deliver_due() == 2
    bodies = {(body := json.loads(one.body))["type"]: body["data"] for one in receiver.received}
    assert bodies["job.completed"]["status"] == "COMPLETE"
    assert bodies["job.completed"]["media"]["urls"]["thumb"].startswith(f"{BASE}/media/")


@dataclass
class Removal:
    """What becomes of one delivered and one failed event after the failing endpoint ``old`` was removed."""

    after_two_days: list[Delivery] = field(default_factory=list)
    """With ``keep_days=1``."""
    after_half_a_day: list[Delivery] = field(default_factory=list)
    pending_replay: Replayed | None = None
    pending_after_replay: list[Delivery] = field(default_factory=list)
    after_a_day: list[Delivery] = field(default_factory=list)
    dead_replay: Replayed | None = None
    after_a_week: list[Delivery] = field(default_factory=list)
    """With ``keep_days=7``, like those before it."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def removal_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"file:{tmp_path_factory.mktemp('kept') / 'kept.db'}"
    return str(request.getfixturevalue("module_postgres_url"))


@pytest.fixture(scope="module")
async def removal(removal_url: str, tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Removal:
    removal, folder = Removal(), tmp_path_factory.mktemp("removal")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        receiving() as receiver,
        receiving(behave.answer(500)) as failing,
    ):
        clock = set_clock(monkeypatch)
        endpoints = {"app": local(receiver), "old": local(failing, events=["job.failed"])}
        async with open_gate(folder, database_url=removal_url, endpoints=endpoints) as gate:
            await an_event(gate, photo)
            await failed(gate, photo)
            assert await gate[WEBHOOKS].deliver_due() == 3
        del endpoints["old"]

        def later(*, days: float, keep_days: float) -> AbstractAsyncContextManager[MediaGate]:
            clock.turn(days * 24 * 3600)
            return open_gate(folder, worker=True, database_url=removal_url, endpoints=endpoints, keep_days=keep_days)

        async with later(days=2, keep_days=1) as gate:
            removal.after_two_days = await until(gate, lambda found: len(found) == 2)
        clock.turn(-1.5 * 24 * 3600)
        for name in ("POLL_S", "FORGET_EVERY_S"):
            monkeypatch.setattr(f"mediagate_plugins.webhooks.sender.{name}", 0.05)
        async with later(days=0, keep_days=7) as gate:
            await asyncio.sleep(1)
            [waiting] = removal.after_half_a_day = await gate[WEBHOOKS].find(status="pending")
            removal.pending_replay = await gate[WEBHOOKS].replay(job_id=waiting.event.job_id)
            removal.pending_after_replay = await gate[WEBHOOKS].find(status="pending")
        async with later(days=1, keep_days=7) as gate:
            await until(gate, lambda found: all(delivery.status != "pending" for delivery in found))
            removal.after_a_day = await gate[WEBHOOKS].find(status="dead")
            removal.dead_replay = await gate[WEBHOOKS].replay(dead=True)
        async with later(days=7, keep_days=7) as gate:
            removal.after_a_week = await until(gate, lambda found: found == [])
    return removal


async def test_keep_days_keep_an_event_that_a_removed_endpoint_lacks(removal: Removal) -> None:
    """The event that arrived everywhere is forgotten."""
    assert {d.endpoint: d.status for d in removal.after_two_days} == {"app": "delivered", "old": "pending"}


async def test_delivery_to_a_removed_endpoint_stays_pending_for_a_day(removal: Removal) -> None:
    """A newer process may know the endpoint."""
    assert [(d.endpoint, d.error) for d in removal.after_half_a_day] == [("old", "answered 500")]


async def test_delivery_to_a_removed_endpoint_is_not_replayed(removal: Removal) -> None:
    assert removal.pending_replay == Replayed(1, 0, 1)
    assert removal.pending_after_replay != []
    assert removal.dead_replay == Replayed(0, 0, 1)


async def test_delivery_to_a_removed_endpoint_is_dead_after_a_day(removal: Removal) -> None:
    error = "no endpoint with this name is configured any more"
    assert [(d.endpoint, d.error) for d in removal.after_a_day] == [("old", error)]


async def test_dead_delivery_to_a_removed_endpoint_is_forgotten(removal: Removal) -> None:
    assert removal.after_a_week == []


async def test_event_links_to_private_media_are_signed(tmp_path: Path, photo: bytes, receiver: Receiver) -> None:
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
    """Upload a photo and complete its job on the records, as a worker elsewhere would; return the job's id."""
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
    """Upload a photo and let its job use up its attempts; return the job's id."""
    job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
    for _ in range(gate.settings.max_attempts):
        now = utcnow()
        assert await gate.parts.records.claim(job_id, owner="w", now=now, lease_until=now) is not None
    assert (await gate.runtime.janitor.sweep_jobs()).failed == [job_id]
    return job_id


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_secrets_appear_in_no_log_repr_or_file(
    tmp_path: Path, photo: bytes, caplog: pytest.LogCaptureFixture
) -> None:
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


def test_endpoint_refuses_wrong_options_with_advice() -> None:
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


async def test_webhooks_with_wrong_options_stop_the_boot(tmp_path: Path) -> None:
    endpoint = Endpoint("https://example.com", [SECRET])
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "give endpoints, callbacks or both"),
        ({"endpoints": {"callback": endpoint}}, "use another"),
        ({"endpoints": {"A b": endpoint}}, "use a-z"),
        ({"endpoints": {"app": endpoint}, "timeout_s": 0}, "above 0"),
        ({"endpoints": {"app": endpoint}, "timeout_s": float("inf")}, "at most 3,600"),
        ({"endpoints": {"app": endpoint}, "keep_days": 1e12}, "at most 36,500"),
        ({"endpoints": {"app": endpoint}, "keep_days": float("nan")}, "at most 36,500"),
        ({"endpoints": {"app": endpoint}, "callbacks": Callbacks([OTHER, SECRET])}, "'app': it shares a secret with"),
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
        gate.fork_server = SHARED
        gate.register(webhooks, endpoints={"app": endpoint})
        if relative is None:
            async with gate:
                pass
        else:
            with pytest.raises(ConfigError, match=relative):
                await gate.open()


async def test_delivery_that_our_own_storage_fails_costs_no_attempt(
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


async def test_outbox_keeps_each_failure_of_a_retried_job(tmp_path: Path, photo: bytes, receiver: Receiver) -> None:
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


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_erase_of_an_owner_sends_deletions_and_nothing_else_of_it(
    tmp_path: Path, photo: bytes, receiver: Receiver, kind: str, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue("own_postgres_url")) if kind == "postgresql" else None
    async with open_gate(tmp_path, database_url=url, endpoints={"app": local(receiver)}) as gate:
        records = gate.parts.records
        job = (await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")).job
        now = await records.now()
        assert await records.claim(job.id, owner="w", now=now, lease_until=now + LEASE)
        settlement = Settlement(JobStatus.COMPLETE, a_media(job))
        events_of = partial(job_events, parts=gate.parts)
        assert await records.settle(job, owner="w", now=now, settlement=settlement, events_of=events_of)
        await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        await an_event(gate, photo, owner="bob")
        erased = await gate.erase(owner="ann")
        assert (erased.jobs, erased.media) == (2, 1)
        assert await gate[WEBHOOKS].deliver_due() == 2
        assert {found.event.type for found in await gate[WEBHOOKS].find()} == {"job.cancelled", "media.deleted"}
        assert await gate.erase(owner="ann") == Erased()
    bodies = {body["type"]: body["data"] for body in (json.loads(one.body) for one in receiver.received)}
    assert bodies.keys() == {"job.cancelled", "media.deleted"}
    assert bodies["media.deleted"] == {
        "jobId": job.id,
        "mediaId": job.media_id,
        "sourceType": "avatar",
        "sourceId": "u1",
        "clientReferenceId": a_media(job).client_reference_id,
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_event_that_is_erased_while_it_is_passed_on_gets_no_delivery(
    tmp_path: Path, photo: bytes, kind: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    url = str(request.getfixturevalue("own_postgres_url")) if kind == "postgresql" else None
    async with open_gate(tmp_path, database_url=url, endpoints={"app": local("http://127.0.0.1:1/")}) as gate:
        for owner in ("ann", "bob"):
            await an_event(gate, photo, owner=owner)
        events = await gate[RECORDS].outbox(limit=9)
        await gate.erase(owner="ann")
        deliveries = Deliveries(Database.of(gate[RECORDS], "webhooks"), ["app"], callbacks=False)
        await deliveries.add({event: {"app": None} for event in events}, utcnow())
        assert [found.event.id for found in await gate[WEBHOOKS].find()] == [events[1].id]
    assert "unavailable" not in caplog.text
