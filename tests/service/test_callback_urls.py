"""A ``callbackUrl`` that is no URL is refused alike, however the upload comes."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from mediagate import MediaGate
from mediagate.errors import InvalidParameter

pytestmark = pytest.mark.anyio

BASE = "https://gate.example"
SENTENCE = "callbackUrl: use an absolute https URL of at most 2,048 characters"


@pytest.mark.parametrize("url", ["https://[", "https://[::1", "https://℀.com/", "http://a.example/", "https://", "x"])
async def test_what_is_no_https_url(make_gate: Callable[..., MediaGate], photo: bytes, url: str) -> None:
    gate = make_gate(worker=False)
    fields = {"sourceType": "avatar", "sourceId": "u1", "callbackUrl": url}
    declared = fields | {"contentType": "image/jpeg", "size": len(photo)}
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    async with gate, httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        for answer in (
            await client.post("/upload", data=fields, files={"file": ("a.jpg", photo)}),
            await client.post("/uploads", json=declared),
        ):
            assert answer.status_code == 400, answer.text
            assert (answer.json()["code"], answer.json()["detail"]) == ("invalid_parameter", SENTENCE)
        with pytest.raises(InvalidParameter, match="absolute https URL"):
            await gate.upload(photo, source_type="avatar", source_id="u1", callback_url=url)
        with pytest.raises(InvalidParameter, match="absolute https URL"):
            await gate.create_upload(
                source_type="avatar", source_id="u1", content_type="image/jpeg", size=9, callback_url=url
            )
