"""Traces through the OpenTelemetry API: an upload, its wait in the queue and a worker's steps are one trace.

``pip install "mediagate[otel]"`` brings the API alone: which SDK and exporter the spans go to is the host's choice.
"""

from __future__ import annotations

from mediagate import MediaGate, plugin
from mediagate.errors import ConfigError


@plugin("tracing")
async def tracing(gate: MediaGate) -> None:
    """Make spans of uploads and jobs; without an SDK they go nowhere and cost next to nothing.

    The trace goes on from the span that the host has open, or else from the request's ``traceparent``, and from process
    to process through the job's row. Raises ``ConfigError`` when opentelemetry-api is not installed.
    """
    try:
        from mediagate_plugins.tracing.spans import Spans
    except ImportError as exc:
        raise ConfigError(f'tracing needs opentelemetry-api: pip install "mediagate[otel]" ({exc})') from None
    spans = Spans()
    gate.observe(spans)
    gate.add_hook("on_uploaded", spans.uploaded)
    gate.add_hook("on_end", spans.ended)
