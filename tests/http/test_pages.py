"""Pages of jobs and media by offset, with a total; and their limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mediagate import MediaGate
from mediagate.testing.record_samples import MOMENT, published_media
from mediagate.values import utcnow
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


@pytest.mark.parametrize("path", ["/jobs?", "/media?sourceType=avatar&"])
async def test_page_by_offset_has_a_total_and_whether_there_is_more(make_gate: MakeGate, path: str) -> None:
    gate = make_gate()
    async with client_of(gate) as client:
        begun = utcnow()
        made = [
            await published_media(gate.parts.records, begun + n * MOMENT, source_type="avatar", source_id="u")
            for n in range(5)
        ]
        wanted = [m.job_id if path == "/jobs?" else m.id for m in reversed(made)]

        async def page(query: str) -> tuple[list[str], Any]:
            answer = await client.get(f"{path}{query}")
            assert answer.status_code == 200, answer.text
            body = answer.json()
            return [item.get("jobId", item.get("id")) for item in body.pop("items")], body

        ids, first = await page("limit=2&offset=0")
        cursor = first.pop("nextCursor")
        assert (ids, first) == (wanted[:2], {"total": 5, "limit": 2, "offset": 0, "hasMore": True})
        ids, last = await page("limit=3&offset=2")
        assert (ids, last) == (wanted[2:], {"nextCursor": None, "total": 5, "limit": 3, "offset": 2, "hasMore": False})
        ids, beyond = await page("offset=5")
        assert (ids, beyond["total"], beyond["hasMore"]) == ([], 5, False)
        ids, after = await page(f"limit=2&cursor={cursor}")
        assert (ids, set(after)) == (wanted[2:4], {"nextCursor"}), "a page by cursor is counted by nobody"
        assert (await page("sourceId=nobody&offset=0"))[1]["total"] == 0


@pytest.mark.parametrize("path", ["/jobs?", "/media?sourceType=avatar&"])
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("offset=0&cursor=1.job_1", (422, "conflicting_parameters", "cursor and offset: use one of the two")),
        (
            "offset=10001",
            (400, "invalid_parameter", "offset: use a number from 0 to 10,000; for later pages, follow nextCursor"),
        ),
        ("offset=-1", (400, "invalid_parameter", "offset: use a whole number of items to skip, from 0")),
        ("offset=1.5", (400, "invalid_parameter", "offset: use a whole number of items to skip, from 0")),
        ("offset=", (400, "invalid_parameter", "offset: use a whole number of items to skip, from 0")),
        ("offset=٣", (400, "invalid_parameter", "offset: use a whole number of items to skip, from 0")),
        (f"offset={'9' * 5000}", (400, "invalid_parameter", "offset: use a whole number of items to skip, from 0")),
    ],
    ids=["cursor", "far", "negative", "fraction", "empty", "other digits", "huge"],
)  # fmt: skip
async def test_offset_is_bounded_and_excludes_a_cursor(
    make_gate: MakeGate, path: str, query: str, told: tuple[int, str, str]
) -> None:
    async with client_of(make_gate()) as client:
        answer = await client.get(f"{path}{query}")
        assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == told
