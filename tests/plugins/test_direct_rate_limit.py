"""Limits on direct uploads: what is declared, sent to a URL and completed counts as any other upload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mounted import client_of

from mediagate import MediaGate
from mediagate_plugins.rate_limit import rate_limit

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


async def arrived(client: httpx.AsyncClient, photo: bytes) -> httpx.Response:
    """Declare a file and send it; return the answer to its completion."""
    told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
    answer = await client.post("/uploads", json=told)
    if answer.status_code != 201:
        return answer
    target: Any = answer.json()
    sent = await client.put(f"http://test{target['url']}", content=photo, headers=target["headers"])
    assert sent.status_code == 204
    return await client.post(f"http://test{target['completeUrl']}")


async def test_jobs_bytes_and_requests_are_limited(make_gate: MakeGate, photo: bytes) -> None:
    for limit, passes in (("2 jobs", 2), (f"{2 * len(photo) + 1000} B/day", 3), ("5/day", 2)):
        gate = make_gate(memory=False, worker=False)
        gate.register(rate_limit, per_address=limit)
        async with client_of(gate) as client:
            answers = [await arrived(client, photo) for _ in range(passes)]
            assert [answer.status_code for answer in answers] == [202] * passes, limit
            refused = await arrived(client, photo)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited"), limit
            assert int(refused.headers["Retry-After"]) >= 1
            assert await gate.parts.records.queue_depth() == passes


async def test_a_place_that_becomes_free_lets_the_same_upload_complete(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, worker=False)
    gate.register(rate_limit, per_source={"avatar": "1 jobs"})
    async with client_of(gate) as client:
        first = await arrived(client, photo)
        told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
        target: Any = (await client.post("/uploads", json=told)).json()
        await client.put(f"http://test{target['url']}", content=photo, headers=target["headers"])
        assert (await client.post(f"http://test{target['completeUrl']}")).status_code == 429
        await gate.cancel(first.json()["jobId"])
        assert (await client.post(f"http://test{target['completeUrl']}")).status_code == 202
