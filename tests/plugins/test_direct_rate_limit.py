"""Rate limits on direct uploads: a declaration, its PUT and its completion count as any other upload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from mediagate import AUTHORIZE, Action, MediaGate, Principal
from mediagate_plugins.rate_limit import rate_limit
from tests.support.direct import completed, declared, sent
from tests.support.mounted import client_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]


async def arrived(client: httpx.AsyncClient, photo: bytes) -> httpx.Response:
    """Declare a file, send it and complete it; return the last answer, or the first refusal."""
    answer = await declared(client, photo)
    if answer.status_code == 201:
        target = answer.json()
        answer = await sent(client, target, photo)
        if answer.status_code == 204:
            answer = await completed(client, target)
    return answer


async def test_rate_limit_counts_jobs_bytes_and_requests_of_direct_uploads(make_gate: MakeGate, photo: bytes) -> None:
    # An upload through the gate is three requests; the small body of a declaration counts as well.
    for limit, passes in (("2 jobs", 2), (f"{2 * len(photo) + 1000} B/day", 2), ("8/day", 2)):
        for rules in ({"per_address": limit}, {"per_source": {"avatar": limit.replace("8/day", "5/day")}}):
            gate = make_gate(memory=False, worker=False)
            gate.register(rate_limit, **rules)
            async with client_of(gate) as client:
                answers = [await arrived(client, photo) for _ in range(passes)]
                assert [answer.status_code for answer in answers] == [202] * passes, rules
                refused = await arrived(client, photo)
                assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited"), rules
                assert int(refused.headers["Retry-After"]) >= 1
                assert await gate.parts.records.queue_depth() == passes


async def test_rate_limit_counts_bytes_that_are_never_completed(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False)
    gate.register(rate_limit, per_address=f"{2 * len(photo) + 2000} B/day")
    async with client_of(gate) as client:
        for passes in (True, True, False):
            target = (await declared(client, photo)).json()
            answer = await sent(client, target, photo)
            assert answer.status_code == (204 if passes else 429)
            assert "RateLimit-Policy" in answer.headers


async def test_direct_upload_continues_once_a_job_slot_is_free(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False)
    gate.register(rate_limit, per_source={"avatar": "1 jobs"})
    async with client_of(gate) as client:
        early: Any = (await declared(client, photo)).json()
        assert (await sent(client, early, photo)).status_code == 204
        first = await arrived(client, photo)
        late: Any = (await declared(client, photo)).json()
        assert (await sent(client, late, photo)).status_code == 429
        assert (await completed(client, early)).status_code == 429
        await gate.cancel(first.json()["jobId"])
        assert (await sent(client, late, photo)).status_code == 204
        assert (await completed(client, early)).status_code == 202


async def test_direct_upload_counts_for_the_key_that_declared_it(make_gate: MakeGate, photo: bytes) -> None:
    async def authorize(request: Request, action: Action) -> Principal | None:
        return Principal("shop", key=request.headers["X-Key"])

    for limit, passes in ((f"{2 * len(photo) + 2000} B/day", 2), ("3/day", 1)):
        gate = make_gate(memory=False, worker=False)
        gate.decorate(AUTHORIZE, authorize)
        gate.register(rate_limit, per_key=limit)
        async with client_of(gate) as client:
            for key in ("one", "other"):
                client.headers["X-Key"] = key
                for _ in range(passes):
                    assert (await arrived(client, photo)).status_code == 202, limit
                refused = await arrived(client, photo)
                assert refused.status_code == 429, limit
            # Without room in the limit of its key, the bytes of a declared upload are refused.
            client.headers["X-Key"] = "third"
            early: Any = (await declared(client, photo)).json()
            late: Any = (await declared(client, photo)).json()
            assert (await sent(client, early, photo)).status_code == 204
            answer = await sent(client, late, photo)
            assert answer.status_code == (204 if "B" in limit else 429), limit
