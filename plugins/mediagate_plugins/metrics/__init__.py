"""Metrics for Prometheus: jobs, stages, uploads, queue, verdicts, storage and image processes at ``GET /metrics``.

``pip install "mediagate[metrics]"``.
"""

from __future__ import annotations

import hmac
import logging
import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mediagate import AUTHORIZE, RECORDS, Action, MediaGate, plugin
from mediagate.errors import ConfigError, PluginError

log = logging.getLogger("mediagate.metrics")


@plugin("metrics")
async def metrics(gate: MediaGate, *, token: str | None = None) -> None:
    """Serve ``GET /metrics`` below the gate's mount to requests with ``Authorization: Bearer <token>``.

    Without a token, admins by the gate's ``AUTHORIZE`` have access; without ``AUTHORIZE`` too, every caller has.
    Processes that share the folder in ``PROMETHEUS_MULTIPROC_DIR`` report their metrics together. Raises
    ``ConfigError`` when prometheus_client is not installed, the folder is missing, or the token cannot be sent in a
    header.
    """
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError("metrics: token must be printable ASCII without spaces, such as secrets.token_urlsafe()")
    # The variable is defined by prometheus_client.
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    folder = Path(shared) if shared else None
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            f"metrics: PROMETHEUS_MULTIPROC_DIR names {folder}, which is not a folder; "
            "create it empty before each start of the service"
        )
    try:
        from mediagate_plugins.metrics import instruments
        from mediagate_plugins.metrics.exposition import Exposition
        from mediagate_plugins.metrics.observer import MetricsObserver
    except ImportError as exc:
        raise ConfigError(f'metrics needs prometheus_client: pip install "mediagate[metrics]" ({exc})') from None
    observer = MetricsObserver(gate.sources)
    exposition: Exposition | None = None

    async def ready(gate: MediaGate) -> None:
        nonlocal exposition
        exposition = Exposition(gate[RECORDS], folder)
        instruments.WORKERS.set(float(gate.settings.worker))
        if token is None and not _asks(gate):
            log.info("GET /metrics is public; give the plugin a token, or block the path from outside")

    async def closing(gate: MediaGate) -> None:
        instruments.WORKERS.set(0)

    async def show(request: Request) -> Response:
        if token is None:
            await gate.authorize(request, Action.ADMIN)
        elif not _sent(request, token):
            return PlainTextResponse(
                "authentication required: send the metrics token as Authorization: Bearer …",
                401,
                {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
            )
        assert exposition is not None
        body, content_type = await exposition.page(request.headers.get("Accept", ""))
        return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    gate.observe(observer)
    gate.add_hook("on_uploaded", observer.count_upload)
    gate.add_hook("on_end", observer.count_end)
    gate.add_hook("on_ready", ready)
    gate.add_hook("on_close", closing)
    gate.add_route("/metrics", show, methods=["GET"])


def _asks(gate: MediaGate) -> bool:
    try:
        return gate[AUTHORIZE] is not None
    except PluginError:
        return False


def _sent(request: Request, token: str) -> bool:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), token.encode())
