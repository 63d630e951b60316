"""Moderation by an HTTP service: local servers that imitate two well-known ones, and servers that fail."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from mediagate import MODERATOR, JobStatus, MediaGate, Settings, Source, Status, VariantSpec
from mediagate.cli.doctor import examine
from mediagate.errors import ConfigError, ModerationFailed
from mediagate.images.pixels import jpeg_of
from mediagate.records import Allowance, PrismaRecords
from mediagate_plugins.http_moderation import Service, google_safe_search, http_moderation, openai
from mediagate_plugins.http_moderation.presets import OPENAI_LABELS
from tests.support.poison import Reds

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

KEY = "sk-local-test"
LOOPBACK = ("127.0.0.0/8",)


WHOLE = {"whole": VariantSpec(width=640)}
"""Variants are never enlarged, so a small picture has one view."""


def redness(jpeg: bytes) -> float:
    """Return how red a picture is, 0 to 1; raises for anything but a JPEG without metadata."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        assert not image.getexif()
        assert "icc_profile" not in image.info
        red, green, blue = ImageStat.Stat(image.convert("RGB")).mean
        return round(max(0, red - (green + blue) / 2) / 255, 3)


def like_openai(headers: dict[str, str], told: Any) -> tuple[int, Any]:
    if headers.get("authorization") != f"Bearer {KEY}":
        return 401, {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}
    (asked,) = told["input"]
    kind, _, image = asked["image_url"]["url"].partition(",")
    assert (told["model"], asked["type"], kind) == ("omni-moderation-latest", "image_url", "data:image/jpeg;base64")
    score = redness(base64.b64decode(image, validate=True))
    scores = {**dict.fromkeys(OPENAI_LABELS, 1e-6), "harassment": 0.0, "sexual": score}
    return 200, {
        "id": "modr-1",
        "model": "omni-moderation-latest",
        "results": [{"flagged": score > 0.5, "categories": {}, "category_scores": scores}],
    }


def like_google(headers: dict[str, str], told: Any) -> tuple[int, Any]:
    if headers.get("x-goog-api-key") != KEY:
        return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}
    (asked,) = told["requests"]
    assert asked["features"] == [{"type": "SAFE_SEARCH_DETECTION"}]
    score = redness(base64.b64decode(asked["image"]["content"], validate=True))
    words = ("VERY_UNLIKELY", "UNLIKELY", "POSSIBLE", "LIKELY", "VERY_LIKELY")
    found = {"adult": words[min(4, int(score * 5))], "racy": "UNLIKELY", "violence": "VERY_UNLIKELY"}
    return 200, {"responses": [{"safeSearchAnnotation": {**found, "medical": "UNLIKELY", "spoof": "VERY_UNLIKELY"}}]}


@dataclass
class Server:
    """A local server: how it answers, and the calls it received."""

    answer: Callable[[dict[str, str], Any], tuple[int, Any]]
    calls: list[Any] = field(default_factory=list)
    pause_s: float = 0
    port: int = 0

    def await_calls(self, number: int) -> None:
        while len(self.calls) < number:
            time.sleep(0.05)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def serving(answer: Callable[[dict[str, str], Any], tuple[int, Any]]) -> Iterator[Server]:
    server = Server(answer)
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.calls.append(told)
            released.wait(server.pause_s)
            status, said = server.answer({name.lower(): value for name, value in self.headers.items()}, told)
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            try:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.send_header("location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # the client has given up

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        server.port = httpd.server_port
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield server
        released.set()
        httpd.shutdown()
        thread.join()


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.new("RGB", (200, 100), colour).save(file, "JPEG", exif=exif)
    return file.getvalue()


RED, BLUE = picture("red"), picture("navy")
OPENAI, GOOGLE = "/v1/moderations", "/v1/images:annotate"


def of_openai(server: Server, key: str = KEY) -> Service:
    return openai(key, url=server.url(OPENAI), insecure_http=True, private_networks=LOOPBACK)


async def outcome(gate: MediaGate, data: bytes, *, source: str = "avatar") -> Status:
    job = await gate.upload(data, source_type=source, source_id="1")
    return await gate.wait(job.job_id, timeout_s=60)


def stricter_gate(make_gate: Callable[..., MediaGate], source: Source, **settings: Any) -> MediaGate:
    return make_gate(sources={"avatar": source}, moderation="on", **{"retry_backoff_s": 0.2, **settings})


async def test_openai_preset_judges_every_picture(make_gate: Callable[..., MediaGate]) -> None:
    with serving(like_openai) as server:
        gate = stricter_gate(make_gate, Source(reject={"harmful": 0.8}, variants=WHOLE))
        gate.register(http_moderation, service=of_openai(server), groups={"harmful": {"sexual", "violence"}})
        async with gate:
            refused, published = await outcome(gate, RED), await outcome(gate, BLUE)
            assert (refused.status, published.status) == (JobStatus.REJECTED, JobStatus.COMPLETE)
            assert refused.job.verdict is not None
            assert refused.job.verdict.flags == ("harmful",)
            assert refused.job.verdict.scores["sexual"] > 0.8
            assert refused.job.verdict.model == "openai/omni-moderation-latest"
            assert len(server.calls) == 2
            assert [status.job.model_runs for status in (refused, published)] == [1, 1]


async def test_doctor_passes_http_moderation_without_a_model_or_a_call(make_gate: Callable[..., MediaGate]) -> None:
    with serving(like_openai) as server:
        gate = stricter_gate(make_gate, Source(reject={"sexual": 0.8}, variants=WHOLE))
        gate.register(http_moderation, service=of_openai(server), max_calls_per_day=1000)
        findings = {finding.part: finding async for finding in examine(gate)}
        assert findings["model"].ok
        assert (
            findings["service"].text == "127.0.0.1 resolves to allowed addresses; 6 labels, at most 1,000 calls a day"
        )
        assert not server.calls


async def test_google_preset_reads_likelihood_words(make_gate: Callable[..., MediaGate]) -> None:
    with serving(like_google) as server:
        service = google_safe_search(KEY, url=server.url(GOOGLE), insecure_http=True, private_networks=LOOPBACK)
        gate = stricter_gate(make_gate, Source(reject={"adult": 0.75}, variants=WHOLE))
        gate.register(http_moderation, service=service)
        async with gate:
            assert (await outcome(gate, RED)).status is JobStatus.REJECTED
            assert (await outcome(gate, BLUE)).status is JobStatus.COMPLETE


async def test_two_moderators_reject_if_either_does(make_gate: Callable[..., MediaGate]) -> None:
    with serving(like_openai) as server:
        gate = stricter_gate(make_gate, Source(reject={"red": 0.9, "sexual": 0.1}, variants=WHOLE))
        gate.decorate(MODERATOR, Reds())
        gate.register(http_moderation, service=of_openai(server))
        async with gate:
            local = await outcome(gate, RED)
            assert local.job.verdict is not None
            assert (local.status, local.job.verdict.flags) == (JobStatus.REJECTED, ("red",))
            assert not server.calls, "a picture rejected locally is sent nowhere"
            both = await outcome(gate, picture("maroon"))
            assert both.job.verdict is not None
            assert (both.status, both.job.verdict.flags) == (JobStatus.REJECTED, ("sexual",))
            assert both.job.model_runs == 2, "once locally, once remotely"
            assert both.job.verdict.model == "reds + openai/omni-moderation-latest"
            assert both.job.verdict.scores.keys() >= {"red", "light", "sexual"}
            assert (await outcome(gate, BLUE)).status is JobStatus.COMPLETE


@pytest.mark.parametrize(
    "away", [(503, b"busy"), (429, b"{}"), (401, b"{}"), (302, b""), None], ids=["503", "429", "401", "302", "silence"]
)
async def test_service_that_does_not_answer_publishes_nothing(
    away: tuple[int, bytes] | None, make_gate: Callable[..., MediaGate]
) -> None:
    with serving(lambda *_: away or (200, b"{}")) as server:
        gate = stricter_gate(make_gate, Source(reject={"sexual": 0.8}, variants=WHOLE), max_attempts=1)
        if away is None:
            server.pause_s = 60
        gate.register(http_moderation, service=of_openai(server), timeout_s=0.5)
        async with gate:
            job = await gate.upload(BLUE, source_type="avatar", source_id="1")
            if away == (302, b""):  # an answer that may be about the picture counts as an attempt
                status = await gate.wait(job.job_id, timeout_s=60)
                assert (status.status, status.job.code) == (JobStatus.FAILED, "moderation_failed")
                return
            await asyncio.to_thread(server.await_calls, 3)
            status = await gate.get_status(job.job_id)
            assert status.status in (JobStatus.PENDING, JobStatus.PROCESSING), "an outage does not count as an attempt"
            assert status.job.error is None or "127.0.0.1" not in status.job.error
            server.answer, server.pause_s = like_openai, 0
            assert (await gate.wait(job.job_id, timeout_s=60)).status is JobStatus.COMPLETE


@pytest.mark.parametrize(
    "said",
    [b"no JSON", b"[" * 100_000, b"{}", b'{"results": []}', b'{"results": [{"category_scores": {"sexual": true}}]}'],
)
async def test_service_that_answers_without_scores_publishes_nothing(
    said: bytes, make_gate: Callable[..., MediaGate]
) -> None:
    with serving(lambda *_: (200, said)) as server:
        gate = stricter_gate(make_gate, Source(reject={"sexual": 0.8}, variants=WHOLE), max_attempts=1)
        gate.register(http_moderation, service=of_openai(server))
        async with gate:
            status = await outcome(gate, BLUE)
            assert (status.status, status.job.code) == (JobStatus.FAILED, "moderation_failed")


async def test_max_calls_per_day_bounds_the_calls(make_gate: Callable[..., MediaGate]) -> None:
    with serving(like_openai) as server:
        gate = stricter_gate(make_gate, Source(reject={"sexual": 0.8}, variants=WHOLE))
        gate.register(http_moderation, service=of_openai(server), max_calls_per_day=2)
        async with gate:
            for _ in range(2):
                assert (await outcome(gate, BLUE)).status is JobStatus.COMPLETE
            job = await gate.upload(BLUE, source_type="avatar", source_id="1")
            await asyncio.sleep(1)
            assert (await gate.get_status(job.job_id)).status in (JobStatus.PENDING, JobStatus.PROCESSING)
            assert len(server.calls) == 2


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_allowance_is_shared_by_all_processes(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"file:{tmp_path / 'a.db'}" if database == "sqlite" else request.getfixturevalue("own_postgres_url")
    both = [PrismaRecords(url, migrate=True), PrismaRecords(url, migrate=False)]
    for records in both:
        await records.open()
    try:
        shared = [Allowance(records) for records in both]
        day = timedelta(days=1)
        taken = await asyncio.gather(*(shared[n % 2].take("calls", 1, 10, lasts=day) for n in range(24)))
        assert sum(taken) == 10
        assert not await shared[0].take("others", 11, 10, lasts=day)
        assert await shared[1].take("others", 10, 10, lasts=day)
    finally:
        for records in reversed(both):
            await records.close()


async def test_service_at_a_private_address_is_never_called(make_gate: Callable[..., MediaGate]) -> None:
    with serving(like_openai) as server:
        gate = stricter_gate(make_gate, Source(reject={"sexual": 0.8}, variants=WHOLE))
        gate.register(http_moderation, service=openai(KEY, url=server.url(OPENAI), insecure_http=True))
        async with gate:
            job = await gate.upload(BLUE, source_type="avatar", source_id="1")
            await asyncio.sleep(1)
            assert (await gate.get_status(job.job_id)).status in (JobStatus.PENDING, JobStatus.PROCESSING)
            with pytest.raises(ConfigError, match="not public"):
                await gate.checks["service"]()
        assert not server.calls


def test_service_reports_all_wrong_options_at_once() -> None:
    with pytest.raises(ConfigError) as wrong:
        Service(url="http://x.example/", body={}, scores={}, headers={"a": "b\n"}, words={"maybe": 2})
    told = str(wrong.value)
    assert all(name in told for name in ("url", "body", "scores", "headers", "words"))
    assert KEY not in repr(openai(KEY))


async def test_two_moderators_with_the_same_label_stop_the_boot(tmp_path: Path) -> None:
    gate = MediaGate(
        sources={"avatar": Source(reject={"red": 0.5}, variants=WHOLE)},
        settings=Settings(data_dir=tmp_path, image_processes=1),
    )
    gate.decorate(MODERATOR, Reds())
    service = Service(url="https://x.example/", body={"image": "{image}"}, scores={"red": "red"})
    gate.register(http_moderation, service=service)
    with pytest.raises(ConfigError, match="two moderators score red"):
        await gate.open()


def test_google_preset_reads_no_score_from_an_unknown_word() -> None:
    service = google_safe_search(KEY)
    answer = {"responses": [{"safeSearchAnnotation": dict.fromkeys(service.scores, "UNKNOWN")}]}
    with pytest.raises(ModerationFailed, match="no score"):
        service.read(json.dumps(answer).encode())
    jpeg = jpeg_of(2, 1, bytes(6))
    (asked,) = json.loads(service.request(jpeg))["requests"]
    assert base64.b64decode(asked["image"]["content"]) == jpeg
