"""Traces through the OpenTelemetry API: an upload, its wait in the queue and a worker's steps form one trace.

``pip install "mediagate[otel]"`` installs only the API: the host chooses the SDK and the exporter.
"""

from __future__ import annotations

from mediagate import MediaGate, plugin
from mediagate.errors import ConfigError


@plugin("tracing")
async def tracing(gate: MediaGate) -> None:
    """Create spans of uploads and jobs; without an SDK they are discarded at almost no cost.

    The trace continues the host's current span, or else the request's ``traceparent``, and is passed between processes
    in the job's row. Raises ``ConfigError`` when opentelemetry-api is not installed.
    """
    try:
        from mediagate_plugins.tracing.spans import Spans
    except ImportError as exc:
        raise ConfigError(f'tracing needs opentelemetry-api: pip install "mediagate[otel]" ({exc})') from None
    spans = Spans()
    gate.observe(spans)
    gate.add_hook("on_uploaded", spans.uploaded)
    gate.add_hook("on_end", spans.ended)
