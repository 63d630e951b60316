"""A gate that asks who is there: the header ``X-User`` says it, as only a test may believe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Mount

from mediagate import Action, Job, MediaGate, Principal
from mediagate.errors import Forbidden
from mediagate.media import utcnow
from mediagate.records import Settlement

CORS = Middleware(
    CORSMiddleware,
    allow_origins=["https://app.example"],
    allow_headers=["Authorization", "X-API-Key", "Idempotency-Key"],
    allow_methods=["GET", "POST", "DELETE"],
)
FORM = {"sourceType": "avatar", "sourceId": "user-1"}
USERS = ("ann", "bob", "root", "reader")


async def by_header(request: Request, action: Action) -> Principal | None:
    """Know four callers; ``root`` is an admin, and ``reader`` may only read."""
    user = request.headers.get("X-User")
    if user not in USERS:
        return None
    if user == "reader" and action is not Action.READ:
        raise Forbidden(f"you may not {action}")
    return Principal(user, admin=user == "root")


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Mount("/image-pipeline", gate)], middleware=[CORS], lifespan=gate.lifespan)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/image-pipeline", timeout=60) as client:
            client.headers["Origin"] = "https://app.example"
            yield client


def as_user(name: str, **headers: str) -> dict[str, str]:
    return {"X-User": name, **headers}


async def claim(gate: MediaGate, job: Job) -> None:
    """Begin to work on a job, as another process would."""
    now = utcnow()
    assert await gate.parts.records.claim(job.id, owner="test", now=now, lease_until=now + timedelta(seconds=60))


async def settle(gate: MediaGate, job: Job, settlement: Settlement) -> None:
    """End a job that was claimed."""
    assert await gate.parts.records.settle(job.id, owner="test", now=utcnow(), settlement=settlement)
