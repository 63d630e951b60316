"""Calls of ``callbackUrl`` for jobs that were asked for in a dialect, beside the native events of the same jobs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import trustme
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import CALLBACK_FORMS, MODERATOR, RECORDS, STORAGE, CallbackForm, JobStatus, MediaGate, Settings, Source
from mediagate.records import Database
from mediagate.storage import MemoryStorage
from mediagate.values import utcnow
from mediagate_plugins.dialects.imagepipeline import imagepipeline
from mediagate_plugins.pipelines import pipelines
from mediagate_plugins.webhooks import WEBHOOKS, Callbacks, Endpoint, webhooks
from mediagate_plugins.webhooks.schema import event_schema
from tests.support.forked import SHARED
from tests.support.moderators import REJECTS, Scripted
from tests.support.pipeline_site import PRESETS, file_of
from tests.support.pipelines import DAY, SMALL, a_png, end_next
from tests.support.receiver import SECRET, Received, Receiver, receiving

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BASE = "https://gate.example/image-pipeline"
OTHER = "whsec_" + base64.b64encode(b"another secret of 24+ bytes.").decode()
LOOPBACK = ("127.0.0.0/8",)
ENDPOINT = "/imagepipeline/thumb"


@dataclass(frozen=True)
class Receivers:
    """The operator's endpoint, and the host of the callbacks."""

    app: Receiver
    customer: Receiver
    ca_file: Path

    @property
    def callback_url(self) -> str:
        return f"https://127.0.0.1:{self.customer.port}/done"

    @property
    def called(self) -> list[Any]:
        return [json.loads(one.body) for one in self.customer.received]

    @property
    def told(self) -> list[Any]:
        return [json.loads(one.body) for one in self.app.received]


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with receiving() as app, receiving(tls=context) as customer:
        yield Receivers(app, customer, ca_file)


def make_gate(data_dir: Path, receivers: Receivers, *, dialect: bool = True, **options: Any) -> MediaGate:
    """Return a gate that sends webhooks; without a worker it sends when ``deliver_due`` is called."""
    settings = {
        "worker": False,
        "image_processes": 1,
        "migrate": True,
        "max_attempts": 1,
        **options.pop("settings", {}),
    }
    gate = MediaGate(
        sources={"work": Source(visibility="private", ttl=DAY, reject={"NUDE": 0.5})},
        settings=Settings(data_dir=data_dir, public_base_url=BASE, **settings),
    )
    gate.fork_server = SHARED
    gate.decorate(MODERATOR, Scripted())
    gate.decorate(STORAGE, MemoryStorage())
    gate.register(pipelines, presets=PRESETS)
    endpoint = Endpoint(receivers.app.url, [SECRET], insecure_http=True, private_networks=LOOPBACK)
    gate.register(
        webhooks,
        endpoints={"app": endpoint},
        callbacks=Callbacks([OTHER], private_networks=LOOPBACK),
        ca_file=receivers.ca_file,
        **options,
    )
    if dialect:
        gate.register(imagepipeline)
    return gate


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/image-pipeline", gate)]))
    async with gate, httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


async def ordered(client: httpx.AsyncClient, receivers: Receivers, picture: bytes, *, path: str = ENDPOINT) -> str:
    """Ask for a pipeline with a callback in the dialect; return the job's id."""
    request = json.dumps({"callback_url": receivers.callback_url})
    answer = await client.post(path, files=[file_of(picture), ("request", (None, request))])
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


async def schema_of(client: httpx.AsyncClient) -> Callable[[Any], None]:
    """Return what checks a body of the dialect."""
    schema = (await client.get("/imagepipeline/webhooks/event-schema")).json()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    check: Callable[[Any], None] = validator.validate
    return check


async def of_both(receivers: Receivers, count: int) -> tuple[list[Received], list[Received]]:
    """Return what the operator and the customer got, as soon as it is this much."""
    told = await asyncio.to_thread(receivers.app.wait_for, count)
    return told, await asyncio.to_thread(receivers.customer.wait_for, count)


async def test_callback_has_the_body_of_the_dialect_and_the_endpoint_the_native_one(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers, settings={"worker": True})
    async with client_of(gate) as client:
        check = await schema_of(client)
        job_id = await ordered(client, receivers, photo)
        (told,), (called,) = await of_both(receivers, 1)
        native, body = json.loads(told.body), json.loads(called.body)
        status = (await gate.wait(job_id, timeout_s=60)).job
        assert (native["type"], native["data"]["jobId"]) == ("job.completed", job_id)
        jsonschema.Draft202012Validator(event_schema()).validate(native)
        check(body)
        output = native["data"]["result"]
        assert status.finished_at is not None
        assert body == {
            "job_id": job_id,
            "user_id": None,
            "status": "completed",
            "result_url": output["url"],
            "result_mime_type": "image/webp",
            "result_size_bytes": output["bytes"],
            "timestamp": int(status.finished_at.timestamp()),
        }
        file = await client.get(body["result_url"])
        assert (file.status_code, len(file.content)) == (200, body["result_size_bytes"])
        assert called.path == "/done"


async def test_callback_of_a_dialect_is_signed_with_the_secret_of_callbacks(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        await ordered(client, receivers, photo)
        await end_next(gate)
        assert await gate[WEBHOOKS].deliver_due() == 2
    (called,) = receivers.customer.received
    assert Webhook(OTHER).verify(called.body, called.headers) == json.loads(called.body)
    digest = hmac.digest(OTHER.encode(), called.body, hashlib.sha256).hex()
    assert called.headers["x-mediagate-signature"] == f"sha256={digest}"
    assert called.headers["content-type"] == "application/json"


async def test_signature_is_repeated_in_the_header_of_a_dialect(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    url: dict[str, Any] = {"settings": {"database_url": f"file:{tmp_path / 'shared.db'}"}}
    web = make_gate(tmp_path / "web", receivers, **url)
    worker = make_gate(tmp_path / "worker", receivers, dialect=False, **url)
    form = CallbackForm(lambda status, content: {"id": status.job_id}, signature_header="X-Their-Signature")
    worker.decorate(CALLBACK_FORMS, {"imagepipeline": form})
    async with client_of(web) as client, worker:
        job_id = await ordered(client, receivers, photo)
        await end_next(worker)
        await worker[WEBHOOKS].deliver_due()
    (called,) = receivers.customer.received
    assert json.loads(called.body) == {"id": job_id}
    assert called.headers["x-their-signature"] == called.headers["x-mediagate-signature"]
    assert all("x-their-signature" not in told.headers for told in receivers.app.received)


async def test_failed_and_rejected_jobs_are_told_as_failed(tmp_path: Path, photo: bytes, receivers: Receivers) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        check = await schema_of(client)
        await ordered(client, receivers, photo)
        await end_next(gate, JobStatus.FAILED)
        await gate[WEBHOOKS].deliver_due()
        (body,) = receivers.called
        check(body)
        assert (body["status"], body["error"], body["failure_reason_code"]) == ("failed", "no", "image_timeout")
        assert (body["retryable"], body["result_url"]) == (True, None)
    working = make_gate(tmp_path / "working", receivers, settings={"worker": True})
    async with client_of(working) as client:
        await ordered(client, receivers, a_png(width=REJECTS))
        await asyncio.to_thread(receivers.customer.wait_for, 2)
        body = receivers.called[1]
        check(body)
        assert (body["status"], body["failure_reason_code"]) == ("failed", "moderation_rejected")
        assert body["retryable"] is False


async def test_cancelled_job_is_told_to_the_endpoint_alone(tmp_path: Path, photo: bytes, receivers: Receivers) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        job_id = await ordered(client, receivers, photo)
        await gate.cancel(job_id)
        assert await gate[WEBHOOKS].deliver_due() == 1
        assert [found.endpoint for found in await gate[WEBHOOKS].find()] == ["app"]
    assert [body["type"] for body in receivers.told] == ["job.cancelled"]
    assert receivers.called == []


async def test_callback_carries_a_small_file_in_the_dialect_and_natively(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers, settings={"worker": True}, result_max_bytes=100_000)
    async with client_of(gate) as client:
        check = await schema_of(client)
        await ordered(client, receivers, photo)
        (told,), (called,) = await of_both(receivers, 1)
        native, body = json.loads(told.body), json.loads(called.body)
        check(body)
        jsonschema.Draft202012Validator(event_schema()).validate(native)
        file = await client.get(body["result_url"])
        assert base64.b64decode(body["result_base64"]) == file.content
        assert native["data"]["resultBase64"] == body["result_base64"]
        assert (native["data"]["resultVariant"], native["data"]["resultContentType"]) == ("thumb", "image/webp")


async def test_several_outputs_are_listed_without_their_content(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers, settings={"worker": True}, result_max_bytes=1_000_000)
    async with client_of(gate) as client:
        check = await schema_of(client)
        await ordered(client, receivers, photo, path="/imagepipeline/two")
        (told,), (called,) = await of_both(receivers, 1)
        native, body = json.loads(told.body), json.loads(called.body)
        check(body)
        assert [one["result_url"] for one in body["results"]] == [one["url"] for one in native["data"]["outputs"]]
        assert (body["result_url"], body["result_size_bytes"]) == (
            body["results"][0]["result_url"],
            body["results"][0]["result_size_bytes"],
        )
        assert "result_base64" not in body
        assert "resultBase64" not in native["data"]


@pytest.mark.parametrize("limit", [0, 1])
async def test_file_above_the_limit_is_not_carried(
    tmp_path: Path, photo: bytes, receivers: Receivers, limit: int
) -> None:
    gate = make_gate(tmp_path / "gate", receivers, settings={"worker": True}, result_max_bytes=limit)
    async with client_of(gate) as client:
        await ordered(client, receivers, photo)
        (told,), (called,) = await of_both(receivers, 1)
    assert "result_base64" not in json.loads(called.body)
    assert "resultBase64" not in json.loads(told.body)["data"]


async def test_callback_to_a_refused_host_is_refused_in_the_dialect(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    async with client_of(make_gate(tmp_path / "gate", receivers)) as client:
        request = ("request", (None, json.dumps({"callback_url": "https://10.0.0.1/"})))
        files: list[Any] = [file_of(photo), request]
        answer = await client.post(ENDPOINT, files=files)
        assert (answer.status_code, answer.json()["failure_reason_code"]) == (400, "invalid_parameter")
        assert "public host" in answer.json()["error"]


async def test_native_callback_stays_native_beside_a_dialect(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate):
        await gate.pipeline(photo, steps=SMALL, source="work", callback_url=receivers.callback_url)
        await end_next(gate)
        await gate[WEBHOOKS].deliver_due()
    (told,), (called,) = receivers.told, receivers.called
    assert called == told


def retries_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the senders' clock be a minute ahead, after the first pause."""

    async def later(_: object) -> datetime:
        return utcnow() + timedelta(seconds=60)

    monkeypatch.setattr("mediagate_plugins.webhooks.sender.Sender.now", later)


async def test_dialect_that_the_sender_lacks_is_retried_until_one_has_it(
    tmp_path: Path, photo: bytes, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url: dict[str, Any] = {"settings": {"database_url": f"file:{tmp_path / 'shared.db'}"}}
    web = make_gate(tmp_path / "web", receivers, **url)
    worker = make_gate(tmp_path / "worker", receivers, dialect=False, **url)
    async with client_of(web) as client, worker:
        job_id = await ordered(client, receivers, photo)
        await end_next(worker)
        assert await worker[WEBHOOKS].deliver_due() == 2
        assert receivers.called == []
        (waiting,) = [one for one in await worker[WEBHOOKS].find() if one.endpoint != "app"]
        assert (waiting.status, waiting.attempts) == ("pending", 1)
        assert (
            waiting.error == "the dialect imagepipeline is not registered here; register it on the gate of workers too"
        )
        retries_are_due(monkeypatch)
        assert await web[WEBHOOKS].deliver_due() == 1
    assert [(body["job_id"], body["status"]) for body in receivers.called] == [(job_id, "completed")]


async def test_end_that_a_dialect_lacks_is_never_sent_by_a_later_process(
    tmp_path: Path, photo: bytes, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    url: dict[str, Any] = {"settings": {"database_url": f"file:{tmp_path / 'shared.db'}"}}
    web = make_gate(tmp_path / "web", receivers, **url)
    worker = make_gate(tmp_path / "worker", receivers, dialect=False, **url)
    async with client_of(web) as client, worker:
        await worker.cancel(await ordered(client, receivers, photo))
        assert await worker[WEBHOOKS].deliver_due() == 2
        retries_are_due(monkeypatch)
        assert await web[WEBHOOKS].deliver_due() == 1
        (dead,) = [one for one in await web[WEBHOOKS].find() if one.endpoint != "app"]
        assert (dead.status, dead.error) == ("dead", "the dialect imagepipeline has no words for job.cancelled")
    assert receivers.called == []


async def test_failure_is_told_although_the_job_was_retried_since(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        check = await schema_of(client)
        job_id = await ordered(client, receivers, photo)
        failed = await end_next(gate, JobStatus.FAILED)
        await gate.retry(job_id)
        await gate[WEBHOOKS].deliver_due()
        (body,) = receivers.called
        check(body)
        assert (body["status"], body["error"], body["failure_reason_code"]) == ("failed", "no", "image_timeout")
        assert abs(body["timestamp"] - failed.created_at.timestamp()) < 120
        await end_next(gate)
        await gate[WEBHOOKS].deliver_due()
        assert [body["status"] for body in receivers.called] == ["failed", "completed"]
        assert len({one.id for one in receivers.customer.received}) == 2


async def test_completed_event_of_a_pipeline_ignores_a_remembered_failure(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    url: dict[str, Any] = {"settings": {"database_url": f"file:{tmp_path / 'shared.db'}"}}
    one, two = make_gate(tmp_path / "one", receivers, **url), make_gate(tmp_path / "two", receivers, **url)
    async with client_of(one) as client, two:
        job_id = await ordered(client, receivers, photo)
        await end_next(one, JobStatus.FAILED)
        assert (await one.get_status(job_id)).status is JobStatus.FAILED
        assert await two.parts.records.requeue(job_id, now=utcnow()) is not None
        await end_next(two)
        await one[WEBHOOKS].deliver_due()
    assert sorted(body["status"] for body in receivers.called) == ["completed", "failed"]
    assert {body["type"]: body["data"]["status"] for body in receivers.told} == {
        "job.completed": "COMPLETE",
        "job.failed": "FAILED",
    }


async def test_completed_job_whose_outputs_are_gone_has_no_result(
    tmp_path: Path, photo: bytes, receivers: Receivers
) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        check = await schema_of(client)
        await ordered(client, receivers, photo)
        await end_next(gate, expires_in=timedelta())
        await gate[WEBHOOKS].deliver_due()
        (body,) = receivers.called
        check(body)
        assert (body["status"], body["result_url"], body["result_size_bytes"]) == ("completed", None, None)


async def test_spec_of_a_row_without_a_dialect_is_read(tmp_path: Path, photo: bytes, receivers: Receivers) -> None:
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        job_id = await ordered(client, receivers, photo)
        database = Database.of(gate[RECORDS], "tests")
        (row,) = await database.fetch_rows("SELECT spec FROM mediagate_job WHERE id = ?", job_id)
        spec = json.loads(row["spec"])
        assert (spec.pop("dialect"), spec.pop("endpoint")) == ("imagepipeline", "/thumb")
        await database.change_rows("UPDATE mediagate_job SET spec = ? WHERE id = ?", json.dumps(spec), job_id)
        read = (await gate.get_status(job_id)).job.spec
        assert read is not None
        assert (read.preset, read.dialect, read.endpoint, read.ttl) == ("thumb", None, None, DAY)
        other = await client.get(f"/imagepipeline/any/endpoint/status/{job_id}")
        assert other.json()["status"] == "queued"
        await end_next(gate)
        await gate[WEBHOOKS].deliver_due()
    (body,) = receivers.called
    assert body["type"] == "job.completed", "a job of no dialect is told in the native words"


INVALID: list[dict[str, Any]] = [
    {"status": "cancelled"},
    {"job_id": 1},
    {"timestamp": "2026-05-30T12:00:00Z"},
    {"user_id": 5},
    {"other": 1},
    {"error": "no"},
    {"status": "failed"},
    {"status": "failed", "error": "no", "failure_reason_code": "x", "retryable": False},
    {"results": []},
]


@pytest.mark.parametrize("change", INVALID)
async def test_schema_of_the_dialect_refuses_other_bodies(
    tmp_path: Path, receivers: Receivers, change: dict[str, Any]
) -> None:
    body = {
        "job_id": "job_a",
        "user_id": "usr_123",
        "status": "completed",
        "result_url": "https://cdn.example/x",
        "result_mime_type": "image/webp",
        "result_size_bytes": 184320,
        "timestamp": 1769774400,
    }
    gate = make_gate(tmp_path / "gate", receivers)
    async with client_of(gate) as client:
        check = await schema_of(client)
        check(body)
        with pytest.raises(jsonschema.ValidationError):
            check(body | change)
