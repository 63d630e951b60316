"""A gate with metrics and traces; the latter as lines of JSON in the file that SPANS names.

A job of the source ``slow`` waits, in its first attempt, for as long as the file ``hold`` is in the data folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import anyio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from starlette.applications import Starlette
from starlette.routing import Mount

from mediagate import Job, MediaGate, Source
from mediagate_plugins.metrics import metrics
from mediagate_plugins.tracing import tracing


class Lines(SpanExporter):
    """Appends each span as a line of JSON to a file, which several processes may write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a") as file:
            file.write("".join(span.to_json(indent=None) + "\n" for span in spans))
        return SpanExportResult.SUCCESS


if spans := os.environ.get("SPANS"):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines(Path(spans))))
    trace.set_tracer_provider(provider)

gate = MediaGate(sources={"avatar": Source(), "slow": Source()}, moderation="off")
gate.register(metrics)
gate.register(tracing)


async def hold(job: Job) -> None:
    holding = anyio.Path(gate.settings.data_dir, "hold")
    while True:
        if job.source_type != "slow" or job.attempts > 1 or not await holding.exists():
            return
        await anyio.sleep(0.02)


gate.add_hook("pre_process", hold)
app = Starlette(routes=[Mount("/image-pipeline", gate)], lifespan=gate.lifespan)
