"""``callbackUrl``: an invalid one is refused on every route and from Python, and any one that nothing would call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from mediagate import CALLBACKS, BatchItem, MediaGate, Source
from mediagate.errors import CallbacksUnavailable, InvalidParameter, InvalidPipeline
from tests.support.pipelines import SMALL, WORK, runs_pipelines

pytestmark = pytest.mark.anyio

BASE = "https://gate.example"
SENTENCE = "callbackUrl: use an absolute https URL of at most 2,048 characters"


UNREADABLE = "callbackUrl: use printable ASCII without spaces, quotes and backslashes; write other hosts in punycode"
NO_USER = "callbackUrl: user name and password are not allowed; leave them out"
REFUSED = {
    **dict.fromkeys(["https://[", "https://[::1", "https://℀.com/", "http://a.example/", "https://", "x"], SENTENCE),
    **dict.fromkeys(["//a.example/", "https:/a.example", "https:a.example", "javascript:alert(1)", "/x"], SENTENCE),
    **dict.fromkeys(["https://a.example:0/", "https://a.example:65536/", "https://a.example:x/"], SENTENCE),
    "https://a.example/" + "x" * 2031: SENTENCE,
    **dict.fromkeys(
        [
            "https://a.example/\r\nX-Injected: 1", "https://a.example/\x00", "https://a.ex\tample/", "\x01https://a.example/",
            "https://a.example/\x7f", "https://a.example/\x85", "https://a.example/\u202e", "https://a.example/ b",
            "https://a.example/\n", "https://a.example\\@b.example/", "https://a.example/<x>", 'https://a.example/"',
            "https://exämple.com/",
        ],
        UNREADABLE,
    ),
    **dict.fromkeys(
        ["https://u:p@a.example/", "https://u@a.example/", "https://:p@a.example/", "https://@a.example/"], NO_USER
    ),
}  # fmt: skip
ACCEPTED = [
    "https://a.example", "HTTPS://A.example:8443/done?of=1&to=x@y.example#z", "https://[::1]/x", "https://xn--a-0ga.example/",
    "https://a.example/" + "x" * 2030,
]  # fmt: skip


@pytest.fixture
async def gate(make_gate: Callable[..., MediaGate]) -> AsyncIterator[MediaGate]:
    gate = make_gate(worker=False)
    gate.decorate(CALLBACKS, True)
    async with gate:
        yield gate


async def sent(gate: MediaGate, photo: bytes, url: str) -> list[httpx.Response]:
    """Send an upload with this URL, and declare one; return both answers."""
    fields = {"sourceType": "avatar", "sourceId": "u1", "callbackUrl": url}
    declared = fields | {"contentType": "image/jpeg", "size": len(photo)}
    transport = httpx.ASGITransport(gate, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        return [
            await client.post("/upload", data=fields, files={"file": ("a.jpg", photo)}),
            await client.post("/uploads", json=declared),
        ]


async def test_invalid_callback_url_is_refused_on_every_route(gate: MediaGate, photo: bytes) -> None:
    for url, sentence in REFUSED.items():
        for answer in await sent(gate, photo, url):
            assert answer.status_code == 400, url
            assert (answer.json()["code"], answer.json()["detail"]) == ("invalid_parameter", sentence), url
        with pytest.raises(InvalidParameter) as refused:
            await gate.upload(photo, source_type="avatar", source_id="u1", callback_url=url)
        assert refused.value.detail == sentence
        with pytest.raises(InvalidParameter) as refused:
            await gate.create_upload(
                source_type="avatar", source_id="u1", content_type="image/jpeg", size=9, callback_url=url
            )
        assert refused.value.detail == sentence
    assert not (await gate.list_jobs()).items


async def test_valid_callback_url_is_accepted_on_every_route(gate: MediaGate, photo: bytes) -> None:
    for url in ACCEPTED:
        assert [answer.status_code for answer in await sent(gate, photo, url)] == [202, 201], url


async def test_callback_url_that_nothing_would_call_is_refused_on_every_route(
    make_gate: Callable[..., MediaGate], photo: bytes
) -> None:
    gate = runs_pipelines(make_gate(worker=False, sources={"avatar": Source(), "work": WORK}))
    url = ACCEPTED[0]
    async with gate:
        for answer in await sent(gate, photo, url):
            assert (answer.status_code, answer.json()["code"]) == (422, "callbacks_unavailable")
            assert "leave it out and poll statusUrl" in answer.json()["detail"]
        for call in (
            gate.upload(photo, source_type="avatar", source_id="u1", callback_url=url),
            gate.create_upload(source_type="avatar", source_id="u1", size=9, callback_url=url),
            gate.pipeline(photo, steps=SMALL, source="work", callback_url=url),
            gate.batch([BatchItem(photo, SMALL)], source="work", callback_url=url),
        ):
            with pytest.raises(CallbacksUnavailable):
                await call
        with pytest.raises(InvalidPipeline) as refused:
            await gate.batch([BatchItem(photo, SMALL, callback_url=url)], source="work")
        assert refused.value.errors[0]["code"] == "callbacks_unavailable"
        assert not (await gate.list_jobs()).items
        assert [info async for info in gate.parts.storage.list("staging/")] == []
        assert list(gate.runtime.spool_dir.iterdir()) == []
