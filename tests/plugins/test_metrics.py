"""``GET /metrics``: what is counted and measured, parsed as Prometheus does."""

from __future__ import annotations

import base64
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from PIL import Image
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from starlette.requests import Request

from mediagate import MODERATOR, RECORDS, STORAGE, MediaGate, Source
from mediagate.errors import ConfigError, PluginError, RecordsUnavailable, UploadRefused
from mediagate.parts import AUTHORIZE
from mediagate.records import MemoryRecords
from mediagate.storage import FilesystemStorage, MemoryStorage
from mediagate.values import Action, Principal
from mediagate_plugins.metrics import metrics
from mediagate_plugins.webhooks import Endpoint, webhooks
from tests.support.moderators import CRASHES, GOOD, HANGS, REJECTS, Scripted
from tests.support.receiver import answer, receiving
from tests.support.server import children

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]
DOCS = Path(__file__).parents[2] / "docs"


def picture(width: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, 40), "teal").save(file, "PNG")
    return file.getvalue()


def client_of(gate: MediaGate) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate", timeout=60)


async def scrape(client: httpx.AsyncClient, **headers: str) -> dict[str, float]:
    """Return every sample by its name with labels, such as ``mediagate_jobs_total{source=avatar,status=COMPLETE}``."""
    answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = {}
    for family in plain(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{label}={value}" for label, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


class Grown(dict[str, float]):
    """The growth of each sample between two scrapes; 0 for samples without growth."""

    def __init__(self, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        super().__init__({name: value - before.get(name, 0) for name, value in after.items()})

    def __missing__(self, name: str) -> float:
        return 0.0


async def send(client: httpx.AsyncClient, file: bytes, source_type: str = "avatar") -> httpx.Response:
    form = {"sourceType": source_type, "sourceId": "u1"}
    return await client.post("/upload", data=form, files={"file": ("a.png", file)})


async def ended(client: httpx.AsyncClient, file: bytes) -> str:
    """Upload a file and return the status in which its job ends."""
    sent = await send(client, file)
    assert sent.status_code == 202, sent.text
    while True:
        status = (await client.get(f"/status/{sent.json()['jobId']}?wait=30&http=200")).json()["status"]
        if status not in ("PENDING", "PROCESSING"):
            return str(status)


async def until(client: httpx.AsyncClient, before: Mapping[str, float], name: str, grown: float) -> Grown:
    """Scrape until a sample has grown by this much: a job's hooks run after its status is visible."""
    with anyio.fail_after(30):
        while True:
            now = Grown(before, await scrape(client))
            if now[name] >= grown:
                return now
            await anyio.sleep(0.05)


async def test_metrics_count_pictures_that_are_judged_again(make_gate: MakeGate) -> None:
    records, storage = MemoryRecords(), MemoryStorage()

    def tolerating(score: float) -> MediaGate:
        gate = make_gate(sources={"avatar": Source(reject={"explicit": score})}, moderation="on", memory=False)
        gate.decorate(RECORDS, records)
        gate.decorate(STORAGE, storage)
        gate.decorate(MODERATOR, Scripted())
        gate.register(metrics)
        return gate

    async with tolerating(0.99) as gate, client_of(gate) as client:
        assert [await ended(client, picture(width)) for width in (GOOD, REJECTS)] == ["COMPLETE"] * 2
    async with tolerating(0.5) as gate, client_of(gate) as client:
        before = await scrape(client)
        await gate.rejudge(action="reject")
        grown = await until(client, before, "mediagate_rejudgements_total{outcome=fell,source=avatar}", 1)
        grown = await until(client, before, "mediagate_rejudgements_total{outcome=passed,source=avatar}", 1)
        assert grown["mediagate_jobs_total{source=avatar,status=REJECTED}"] == 0
        assert grown["mediagate_job_seconds_count{source=avatar}"] == 0


async def test_metrics_count_uploads_and_the_ends_of_jobs(make_gate: MakeGate) -> None:
    sources = {"avatar": Source(reject={"explicit": 0.9}), "post": Source(reject={"NUDE": 0.5})}
    gate = make_gate(sources=sources, moderation="on", image_timeout_s=5, max_attempts=1, retry_backoff_s=0)
    gate.decorate(MODERATOR, Scripted())
    gate.register(metrics)
    good = picture(GOOD)
    async with gate, client_of(gate) as client:
        before = await scrape(client)
        assert before["mediagate_workers"] == 1
        ends = [await ended(client, file) for file in (good, good, picture(REJECTS), picture(CRASHES), picture(HANGS))]
        assert ends == ["COMPLETE", "COMPLETE", "REJECTED", "FAILED", "FAILED"]
        assert (await send(client, b"no picture")).status_code == 415
        assert (await send(client, good, "nowhere")).status_code == 400
        assert (await client.get("/status")).status_code == 404
        assert (await client.delete("/upload")).status_code == 405
        grown = await until(client, before, "mediagate_jobs_total{source=avatar,status=FAILED}", 2)
        assert grown["mediagate_jobs_total{source=avatar,status=COMPLETE}"] == 2
        assert grown["mediagate_jobs_total{source=avatar,status=REJECTED}"] == 1
        assert grown["mediagate_jobs_total{source=post,status=COMPLETE}"] == 0
        assert grown["mediagate_job_seconds_count{source=avatar}"] == 5
        assert 5 <= grown["mediagate_job_seconds_sum{source=avatar}"] < 120
        assert grown["mediagate_verdicts_total{decision=allow,source=avatar}"] == 2
        assert grown["mediagate_verdicts_total{decision=reject,source=avatar}"] == 1
        assert grown["mediagate_verdict_flags_total{label=explicit,source=avatar}"] == 1
        assert grown["mediagate_image_process_ends_total{reason=crashed}"] == 1
        assert grown["mediagate_image_process_ends_total{reason=timeout}"] == 1
        assert grown["mediagate_error_answers_total{code=unsupported_type}"] == 1
        for code in ("unknown_source", "file_not_found", "method_not_allowed"):
            assert grown[f"mediagate_error_answers_total{{code={code}}}"] == 1, code
        assert grown["mediagate_upload_seconds_count"] == 7
        assert grown["mediagate_upload_bytes_count{source=avatar}"] == 5
        for stage in ("queue", "fetch", "render", "record"):
            assert grown[f"mediagate_stage_seconds_count{{stage={stage}}}"] == 5, stage
        assert grown["mediagate_stage_seconds_count{stage=moderate}"] == 3, "two published, one rejected"
        assert grown["mediagate_stage_seconds_count{stage=publish}"] == 2
        assert grown["mediagate_stage_seconds_count{stage=other}"] == 0
        assert 0 < grown["mediagate_image_cpu_seconds_total{source=avatar}"] < 10
        assert grown["mediagate_stage_seconds_sum{stage=render}"] >= 5, "one render ran into its time limit"
        assert grown["mediagate_storage_seconds_count{operation=get}"] == 5
        assert grown["mediagate_storage_seconds_count{operation=put}"] == 5 + 2 * 6, (
            "staged; five sizes and an original"
        )
    assert (await _workers()) == 0, "a closed gate has no workers"


async def test_metrics_count_image_processes_that_die_idle(make_gate: MakeGate) -> None:
    gate = make_gate()
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        before = await scrape(client)
        forked = [process for process in children(os.getpid()) if _is_image_process(process)]
        assert len(forked) == 3, "two read headers, one renders"
        for process in forked:
            os.kill(process, signal.SIGKILL)
        assert await ended(client, picture(GOOD)) == "COMPLETE"
        grown = Grown(before, await scrape(client))
        replaced = {why: grown[f"mediagate_image_process_ends_total{{reason={why}}}"] for why in ("idle", "crashed")}
        # A process whose end goes unnoticed counts as crashed at its next picture; if it was a reader, the other
        # reader is replaced too.
        assert sum(replaced.values()) in (2, 3), replaced


def _is_image_process(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return b"mediagate.images.process" in Path(f"/proc/{process}/cmdline").read_bytes() and int(stat[1]) != os.getpid()


async def _workers() -> float:
    from prometheus_client import REGISTRY

    value = REGISTRY.get_sample_value("mediagate_workers")
    assert value is not None
    return value


async def test_metrics_upload_bytes_are_those_of_the_file(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        before = await scrape(client)
        assert (await send(client, photo)).status_code == 202
        grown = Grown(before, await scrape(client))
        assert grown["mediagate_upload_bytes_sum{source=avatar}"] == len(photo)
        assert before["mediagate_workers"] == 0, "this process has no worker"


async def test_metrics_query_the_queue_at_most_every_three_seconds(make_gate: MakeGate, photo: bytes) -> None:
    class Counted(MemoryRecords):
        asked = 0
        answering = True

        async def queue_depth(self) -> int:
            Counted.asked += 1
            if not self.answering:
                raise RecordsUnavailable("the database does not answer")
            return await super().queue_depth()

    records = Counted()
    gate = make_gate(worker=False, memory=False)
    gate.decorate(RECORDS, records)
    gate.decorate(STORAGE, MemoryStorage())
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        for _ in range(3):
            assert (await send(client, photo)).status_code == 202
        first = await scrape(client)
        assert first["mediagate_queue_depth"] == 3
        assert first["mediagate_records_up"] == 1
        assert 0 <= first["mediagate_queue_oldest_seconds"] < 30
        began, asked = time.monotonic(), Counted.asked
        for _ in range(20):
            await scrape(client)
        assert Counted.asked - asked <= (time.monotonic() - began) // 3 + 1
        Counted.answering = False
        with anyio.fail_after(30):
            while True:
                down = await scrape(client)
                if not down["mediagate_records_up"]:
                    break
                await anyio.sleep(0.1)
        assert "mediagate_queue_depth" not in down, "no value instead of a wrong one"


async def test_metrics_count_status_answers_by_origin(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        job = (await send(client, photo)).json()["jobId"]
        await gate.wait(job, timeout_s=30)
        before = await scrape(client)
        for _ in range(3):
            assert (await client.get(f"/status/{job}")).status_code == 200
        assert (await client.get("/status/job_unknown")).status_code == 404
        grown = Grown(before, await scrape(client))
        assert grown["mediagate_status_answers_total{origin=memory}"] == 3
        assert grown["mediagate_status_answers_total{origin=records}"] == 1
        assert grown["mediagate_error_answers_total{code=job_not_found}"] == 1


async def test_metrics_count_storage_errors(make_gate: MakeGate, photo: bytes, tmp_path: Path) -> None:
    gate = make_gate(worker=False, memory=False)
    gate.decorate(RECORDS, MemoryRecords())
    folder = tmp_path / "files"
    gate.decorate(STORAGE, FilesystemStorage(folder))
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        assert (await send(client, photo)).status_code == 202
        before = await scrape(client)
        folder.rename(tmp_path / "moved")
        folder.write_text("a file where the folder should be")
        assert (await send(client, photo)).status_code == 503
        assert (await client.get("/media/avatar/u1/med_x/xs.webp")).status_code in (404, 503)
        grown = Grown(before, await scrape(client))
        assert grown["mediagate_storage_errors_total{operation=put}"] == 1
        assert grown["mediagate_storage_seconds_count{operation=put}"] == 1
        assert grown["mediagate_error_answers_total{code=storage_unavailable}"] >= 1


async def test_metrics_do_not_count_a_missing_file_as_a_storage_error(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        done = await gate.wait(job.job_id, timeout_s=30)
        assert done.media is not None
        before = await scrape(client)
        assert (await client.get(done.media.urls["xs"])).status_code == 200
        assert (await client.get("/media/avatar/u1/med_x/xs.webp")).status_code == 404
        grown = Grown(before, await scrape(client))
        assert grown["mediagate_storage_seconds_count{operation=stream}"] == 1
        assert grown["mediagate_storage_seconds_count{operation=stat}"] == 2
        assert not [name for name in grown if name.startswith("mediagate_storage_errors_total") and grown[name]]


async def test_metrics_names_follow_conventions_and_are_documented(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False)
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        text = (await client.get("/metrics")).text
        modern = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in openmetrics(modern.text) if family.name.startswith("mediagate_")}
    old = {family.name for family in plain(text) if family.name.startswith("mediagate_")}
    assert families.keys() == {name for name in old if not name.endswith("_created")}
    exposed = {name + ("_total" if family.type == "counter" else "") for name, family in families.items()}
    assert exposed == set(
        re.findall(r"^\| `(mediagate_\w+)", (DOCS / "reference/metrics-and-logs.md").read_text(), re.M)
    )
    for family in families.values():
        assert family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_bytes")), family.name
        for sample in family.samples:
            values = [value for label, value in sample.labels.items() if label != "le"]
            assert all(re.fullmatch(r"[\w-]{1,40}", value) for value in values), sample


async def test_metrics_token_guards_the_route(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False)
    gate.register(metrics, token="open-sesame")
    async with gate, client_of(gate) as client:
        assert await scrape(client, Authorization="Bearer open-sesame")
        for wrong in ("", "Bearer", "Bearer open-sesam", "Bearer open-sesame2", "Basic open-sesame", "open-sesame"):
            refused = await client.get("/metrics", headers={"Authorization": wrong} if wrong else {})
            assert refused.status_code == 401, wrong
            assert refused.headers["www-authenticate"] == "Bearer"
            assert "open-sesame" not in refused.text


async def test_metrics_without_a_token_are_for_admins_only(make_gate: MakeGate) -> None:
    async def authorize(request: Request, action: Action) -> Principal | None:
        if "Authorization" not in request.headers:
            raise UploadRefused("log in first")
        # A host that knows its users and ignores actions.
        user = request.headers["Authorization"].removeprefix("Bearer of-")
        return Principal(user, admin=user == "an-admin") if user in ("an-admin", "a-user") else None

    gate = make_gate(worker=False)
    gate.decorate(AUTHORIZE, authorize)
    gate.register(metrics)
    async with gate, client_of(gate) as client:
        assert await scrape(client, Authorization="Bearer of-an-admin")
        unknown = await client.get("/metrics", headers={"Authorization": "Bearer of-another"})
        assert (unknown.status_code, unknown.json()["code"]) == (401, "unauthorized")
        assert unknown.headers["WWW-Authenticate"].startswith("Bearer")
        user = await client.get("/metrics", headers={"Authorization": "Bearer of-a-user"})
        assert (user.status_code, user.json()["code"]) == (403, "forbidden"), "authenticated, but not an admin"
        assert (await client.get("/metrics")).json()["code"] == "upload_refused", "the host's own error"


@pytest.mark.parametrize("token", ["", "zwei Worte", "clé"])
async def test_metrics_token_that_no_header_can_carry_stops_the_boot(make_gate: MakeGate, token: str) -> None:
    gate = make_gate(worker=False)
    gate.register(metrics, token=token)
    with pytest.raises(ConfigError, match="token must be"):
        await gate.open()


async def test_metrics_multiproc_dir_that_is_missing_stops_the_boot(
    make_gate: MakeGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "nowhere"))
    gate = make_gate(worker=False)
    gate.register(metrics)
    with pytest.raises(ConfigError, match="create it empty"):
        await gate.open()


async def test_metrics_without_the_extra_name_it(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mediagate_plugins.metrics.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    gate = make_gate(worker=False)
    gate.register(metrics)
    with pytest.raises(ConfigError, match=re.escape('pip install "mediagate[metrics]"')):
        await gate.open()


async def test_metrics_count_webhook_attempts_by_outcome(make_gate: MakeGate, photo: bytes) -> None:
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    ends = {"good": "delivered", "failing": "failed", "gone": "given_up"}
    with receiving() as good, receiving(answer(500)) as failing, receiving(answer(410)) as gone:
        gate = make_gate(memory=False, public_base_url="https://gate.example")
        receivers = {"good": good, "failing": failing, "gone": gone}
        gate.register(
            webhooks,
            endpoints={
                name: Endpoint(each.url, [secret], insecure_http=True, private_networks=("127.0.0.0/8",))
                for name, each in receivers.items()
            },
        )
        gate.register(metrics)
        async with gate, client_of(gate) as client:
            before = await scrape(client)
            assert await ended(client, photo) == "COMPLETE"
            for name, end in ends.items():
                grown = await until(
                    client, before, f"mediagate_webhook_attempts_total{{endpoint={name},outcome={end}}}", 1
                )
            assert sum(n for name, n in grown.items() if name.startswith("mediagate_webhook_attempts_total")) == 3


async def test_metrics_refuse_an_unknown_option_at_register(make_gate: MakeGate) -> None:
    unknown: dict[str, Any] = {"port": 1}
    with pytest.raises(PluginError, match="available options: token"):
        make_gate().register(metrics, **unknown)
