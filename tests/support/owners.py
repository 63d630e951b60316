"""A gate that asks who is there: the header ``X-User`` says it, as only a test may believe."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request

from mediagate import Action, Job, MediaGate, Principal
from mediagate.errors import Forbidden
from mediagate.records import Settlement
from mediagate.values import utcnow

FORM = {"sourceType": "avatar", "sourceId": "user-1"}
USERS = ("ann", "bob", "root", "reader")


async def by_header(request: Request, action: Action) -> Principal | None:
    """Know four callers; ``root`` is an admin, and ``reader`` may only read. ``X-Key`` names the key they have."""
    user = request.headers.get("X-User")
    if user not in USERS:
        return None
    if user == "reader" and action is not Action.READ:
        raise Forbidden(f"you may not {action}")
    return Principal(user, admin=user == "root", key=request.headers.get("X-Key"))


def as_user(name: str, **headers: str) -> dict[str, str]:
    return {"X-User": name, **headers}


async def claim(gate: MediaGate, job: Job) -> None:
    """Begin to work on a job, as another process would."""
    now = utcnow()
    assert await gate.parts.records.claim(job.id, owner="test", now=now, lease_until=now + timedelta(seconds=60))


async def settle(gate: MediaGate, job: Job, settlement: Settlement) -> None:
    """End a job that was claimed."""
    assert await gate.parts.records.settle(job, owner="test", now=utcnow(), settlement=settlement)
