"""Traces of one process, through the SDK's in-memory exporter."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import anyio
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mediagate import Job, MediaGate
from mediagate.errors import ConfigError
from mediagate_plugins.tracing import tracing

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
Finished = Callable[[], list[ReadableSpan]]


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finished]:
    """Install the SDK as the provider during a test; return a function that lists its finished spans."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield lambda: list(exporter.get_finished_spans())
    provider.shutdown()


async def until_told(finished: Finished, count: int, name: str = "mediagate attempt") -> dict[str, ReadableSpan]:
    """Wait for ``count`` spans of a name: the last one ends after the job's status is visible."""
    with anyio.fail_after(30):
        while True:
            spans = finished()
            if len([span for span in spans if span.name == name]) >= count:
                return {span.name.removeprefix("mediagate "): span for span in spans}
            await anyio.sleep(0.02)


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


async def test_upload_and_its_job_are_one_trace(make_gate: MakeGate, photo: bytes, finished: Finished) -> None:
    gate = make_gate()
    gate.register(tracing)
    async with gate:
        with trace.get_tracer("host").start_as_current_span("request") as host:
            job = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(job.job_id, timeout_s=30)
        spans = await until_told(finished, 1)
    assert job.job.traceparent is not None
    assert job.job.traceparent.split("-")[1] == f"{host.get_span_context().trace_id:032x}"
    assert parent_of(spans["upload"]) == host.get_span_context().span_id
    assert parent_of(spans["queue"]) == parent_of(spans["attempt"]) == id_of(spans["upload"])
    steps = {name for name, span in spans.items() if parent_of(span) == id_of(spans["attempt"])}
    assert steps == {"fetch", "render", "publish", "record", "finish"}
    assert spans["attempt"].kind is SpanKind.CONSUMER
    uploaded, ended = spans["upload"].attributes or {}, spans["finish"].attributes or {}
    assert uploaded["mediagate.bytes"] == len(photo)
    assert (ended["mediagate.job.status"], ended["mediagate.source"]) == ("COMPLETE", "avatar")
    assert {"mediagate.timing.decode_ms", "mediagate.timing.moderate_ms"} <= ended.keys()
    assert all(span.status.status_code is StatusCode.UNSET for span in finished())
    starts = [spans[name].start_time or 0 for name in ("fetch", "render", "publish", "record", "finish")]
    assert starts == sorted(starts)


async def test_retried_attempts_share_a_trace_without_error_texts(
    make_gate: MakeGate, photo: bytes, finished: Finished
) -> None:
    async def pre_process(job: Job) -> None:
        raise OSError("the password is hunter2")

    gate = make_gate(retry_backoff_s=0, max_attempts=2)
    gate.add_hook("pre_process", pre_process)
    gate.register(tracing)
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.wait(job.job_id, timeout_s=30)
        spans = await until_told(finished, 2)
    attempts = [span for span in finished() if span.name == "mediagate attempt"]
    assert [(span.attributes or {})["mediagate.job.attempt"] for span in attempts] == [1, 2]
    assert len({span.context.trace_id for span in finished() if span.context}) == 1
    assert (spans["finish"].attributes or {})["mediagate.job.code"] == "internal_error"
    assert "hunter2" not in "".join(span.to_json() for span in finished())


async def test_refused_upload_is_a_server_span_with_its_error_code(
    make_gate: MakeGate, photo: bytes, finished: Finished
) -> None:
    gate = make_gate(worker=False)
    gate.register(tracing)
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate") as client:
        form = {"sourceType": "nowhere", "sourceId": "u1"}
        headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        assert (await client.post("/upload", data=form, files={"file": photo}, headers=headers)).status_code == 400
        broken = {"traceparent": "00-zzz"}
        form["sourceType"] = "avatar"
        assert (await client.post("/upload", data=form, files={"file": photo}, headers=broken)).status_code == 202
    refused, accepted = finished()
    assert (refused.attributes or {})["error.type"] == "unknown_source"
    assert refused.status.status_code is StatusCode.UNSET, "the client's fault, not ours"
    assert refused.kind is SpanKind.SERVER
    assert parent_of(refused) == 0xB7AD6B7169203331
    assert accepted.parent is None


async def test_tracing_without_an_sdk_stores_no_traceparent(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate()
    gate.register(tracing)
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        done = await gate.wait(job.job_id, timeout_s=30)
    assert (done.status, done.job.traceparent) == ("COMPLETE", None)


async def test_tracing_without_the_extra_names_it(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mediagate_plugins.tracing.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    gate = make_gate(worker=False)
    gate.register(tracing)
    with pytest.raises(ConfigError, match=re.escape('pip install "mediagate[otel]"')):
        await gate.open()


async def test_direct_upload_is_traced_from_its_completion_on(
    make_gate: MakeGate, photo: bytes, finished: Finished
) -> None:
    gate = make_gate()
    gate.register(tracing)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate") as client:
        told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
        target = (await client.post("/uploads", json=told)).json()
        assert (await client.put(target["url"], content=photo, headers=target["headers"])).status_code == 204
        done = await client.post(f"/uploads/{target['uploadId']}/complete", headers=headers)
        assert done.status_code == 202, done.text
        await gate.wait(done.json()["jobId"], timeout_s=30)
        spans = await until_told(finished, 1)
    assert {f"{span.context.trace_id:032x}" for span in spans.values() if span.context} == {trace_id}
    assert {"upload", "queue", "attempt", "finish"} <= spans.keys()
