"""A client of an app in which a gate is mounted, as a browser on another origin would be one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount

from mediagate import MediaGate

ORIGIN = "https://app.example"
MOUNT = "http://test/image-pipeline"
CORS = Middleware(
    CORSMiddleware,
    allow_origins=[ORIGIN],
    allow_methods=["GET", "PUT", "POST", "DELETE"],
    allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-API-Key"],
    expose_headers=["*"],
)


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the app for the length of a block."""
    app = Starlette(routes=[Mount("/image-pipeline", gate)], middleware=[CORS], lifespan=gate.lifespan)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=MOUNT, headers={"Origin": ORIGIN}, timeout=60
        ) as client,
    ):
        yield client
