"""The hook ``pre_declare``: it sees the declaration of a direct upload, and may refuse it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from mediagate import DirectUpload, MediaGate
from mediagate.errors import UploadRefused

pytestmark = pytest.mark.anyio


async def test_pre_declare_runs_over_http_and_from_python_before_recording(
    make_gate: Callable[..., MediaGate],
) -> None:
    seen: list[DirectUpload] = []

    async def look(upload: DirectUpload) -> None:
        seen.append(upload)
        if upload.ticket.source_id == "bad":
            raise UploadRefused("not this one")

    gate = make_gate(worker=False)
    gate.add_hook("pre_declare", look)
    declared = {"sourceType": "avatar", "sourceId": "good", "contentType": "image/jpeg", "size": 9}
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="https://gate.example") as client:
        taken = await client.post("/uploads", json=declared)
        refused = await client.post("/uploads", json=declared | {"sourceId": "bad"})
        with pytest.raises(UploadRefused):
            await gate.create_upload(
                source_type="avatar", source_id="bad", content_type="image/png", size=7, owner="ann"
            )
        known = await gate.parts.records.get_uploads([upload.id for upload in seen])
    assert (taken.status_code, taken.json()["uploadId"]) == (201, seen[0].id)
    assert (refused.status_code, refused.json()["code"]) == (403, "upload_refused")
    assert set(known) == {seen[0].id}
    assert (seen[2].content_type, seen[2].bytes, seen[2].owner_id) == ("image/png", 7, "ann")
