"""The reception of a pipeline over HTTP, for the plugin that serves the route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from mediagate.api import Calls
from mediagate.http.uploads import ask_uploader
from mediagate.intake import Reception
from mediagate.kernel import Incoming, closes_unread


@asynccontextmanager
async def receive_pipeline(
    gate: Calls, request: Request, source_type: str, *, dry_run: bool
) -> AsyncIterator[Reception]:
    """Receive the request of a caller; raises the errors of ``ask_uploader`` and ``Intake.receive_pipeline``."""
    runtime, incoming = gate.runtime, Incoming(request)
    with closes_unread(incoming), runtime.parts.observer.during("upload", request=request):
        principal = await ask_uploader(gate, incoming)
        async with runtime.intake.receive_pipeline(incoming, principal, source_type, dry_run=dry_run) as reception:
            yield reception
