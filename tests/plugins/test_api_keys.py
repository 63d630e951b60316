"""The plugin ``api_keys`` over HTTP on real databases: which keys open what, and what a refusal reveals."""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from mediagate import RECORDS, Action, MediaGate, Settings, Source
from mediagate.errors import ConfigError, InvalidParameter, RecordsUnavailable
from mediagate.records import MemoryRecords, PrismaRecords
from mediagate.values import utcnow
from mediagate_plugins.api_keys import API_KEYS, ApiKeys, NewKey, api_keys
from tests.support.forked import SHARED
from tests.support.mounted import client_of
from tests.support.owners import FORM

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def gate_on(path: Path, *, database: str | None = None, cache_s: float = 5.0) -> MediaGate:
    gate = MediaGate(
        sources={"avatar": Source()},
        settings=Settings(data_dir=path, database_url=database, migrate=True, worker=False),
        moderation="off",
    )
    gate.fork_server = SHARED
    gate.register(api_keys, cache_s=cache_s)
    return gate


@asynccontextmanager
async def serving(
    path: Path, *, database: str | None = None, cache_s: float = 5.0
) -> AsyncIterator[tuple[ApiKeys, httpx.AsyncClient]]:
    gate = gate_on(path, database=database, cache_s=cache_s)
    async with client_of(gate) as client:
        yield gate[API_KEYS], client


def bearer(key: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_key_is_limited_to_its_scopes_and_its_owner(
    tmp_path: Path, photo: bytes, kind: str, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("own_postgres_url") if kind == "postgresql" else None
    async with serving(tmp_path, database=database) as (keys, client):
        ann = await keys.create(owner="ann")
        reader = await keys.create(owner="ann", scopes=[Action.READ])
        deleter = await keys.create(owner="ann", scopes=[Action.DELETE])
        bob = await keys.create(owner="bob", scopes=list(Action))
        assert re.fullmatch(r"mg_live_[a-z2-7]{12}_[a-z2-7]{32}", ann.text)
        assert ann.text.startswith(f"mg_live_{ann.key.id}_")
        sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=bearer(ann))
        assert sent.status_code == 202, sent.text
        job_id = sent.json()["jobId"]
        for key in (ann, reader, bob):  # bob's key has the scope admin
            for headers in (bearer(key), {"X-API-Key": key.text}, {"Authorization": f"bearer  {key.text} "}):
                assert (await client.get(f"/status/{job_id}", headers=headers)).status_code == 202
        for key, method, path in (
            (reader, "DELETE", "/media/med_x"),
            (reader, "POST", "/upload"),
            (ann, "DELETE", "/media/med_x"),
            (deleter, "GET", "/jobs"),
        ):
            answer = await client.request(method, path, headers=bearer(key))
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert (await client.delete("/media/med_x", headers=bearer(deleter))).status_code == 404
        carol = await keys.create(owner="carol", scopes=[Action.READ, Action.UPLOAD, Action.DELETE])
        assert (await client.get(f"/status/{job_id}", headers=bearer(carol))).status_code == 404
        assert (await client.get("/jobs", headers=bearer(carol))).json()["items"] == []
        assert [key.id for key in await keys.list(owner="ann")] == [ann.key.id, reader.key.id, deleter.key.id]


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ApiKeys, httpx.AsyncClient]]:
    """The keys of an open gate on SQLite that several tests share, and its client."""
    async with serving(tmp_path_factory.mktemp("keys")) as opened:
        yield opened


Shared = tuple[ApiKeys, httpx.AsyncClient]


async def test_revoke_is_true_once_and_only_for_a_known_key(shared: Shared) -> None:
    keys, _ = shared
    key = await keys.create(owner="ann")
    assert await keys.revoke(key.key.id)
    assert not await keys.revoke(key.key.id)
    assert not await keys.revoke("aaaaaaaaaaaa")


@dataclass(frozen=True)
class Refused:
    """A live key, a revoked and an expired one, and the answers to these two and to malformed keys."""

    live: NewKey
    revoked: NewKey
    expired: NewKey
    answers: list[httpx.Response]


@pytest.fixture
async def refused(shared: Shared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Refused:
    caplog.set_level(logging.DEBUG)
    keys, client = shared
    live, revoked = await keys.create(owner="ann"), await keys.create(owner="ann")
    assert await keys.revoke(revoked.key.id)
    expired = await keys.create(owner="ann", expires_at=datetime.now(UTC) + timedelta(days=1))
    assert (await client.get("/jobs", headers=bearer(expired))).status_code == 200
    # On SQLite, its clock is this machine's.
    monkeypatch.setattr("mediagate.records.prisma.records.utcnow", lambda: utcnow() + timedelta(days=1))
    assert (await client.get("/jobs", headers=bearer(live))).status_code == 200
    bad = [
        live.text[:-1] + ("b" if live.text[-1] == "a" else "a"),
        f"mg_live_{'a' * 12}_{live.text[-32:]}",
        revoked.text,
        expired.text,
        live.text.upper(),
        live.text + "a",
        live.text[:-1],
        live.text.replace("_", "-"),
        live.key.id,
        "mg_live_" + "a" * 60_000,
        "x" * 60_000,
        "mg_live_'; DROP TABLE mediagate_api_key; --_",
        "mg_live_aaaaaaaaaaaa_\u00e9".encode("latin-1").decode("latin-1"),
    ]
    answers = [
        await client.get("/jobs", headers=[(name.encode(), value.encode("latin-1"))])
        for text in bad
        for name, value in (("Authorization", f"Bearer {text}"), ("X-API-Key", text))
    ]
    return Refused(live, revoked, expired, answers)


async def test_invalid_revoked_and_expired_keys_are_refused_alike(refused: Refused) -> None:
    assert len(refused.answers) == 26
    for answer in refused.answers:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mediagate", error="invalid_token"'
    assert len({answer.text for answer in refused.answers}) == 1


async def test_keys_and_hashes_appear_in_no_log_answer_or_repr(
    refused: Refused, shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    # Records of a fixture belong to the phase of the set-up.
    logged = "\n".join(map(caplog.handler.format, caplog.get_records("setup"))) + caplog.text
    assert "401" in logged
    told = logged + "".join(answer.text for answer in refused.answers)
    told += repr([refused.live, refused.revoked, await shared[0].list()])
    for key in (refused.live, refused.revoked, refused.expired):
        assert key.text not in told
        assert key.text[-32:] not in told
        assert key.key.secret_hash not in told
    assert "x" * 100 not in told


async def test_request_without_a_key_in_a_header_answers_401(shared: Shared) -> None:
    keys, client = shared
    for headers in ({}, {"Authorization": "Basic YW5uOmFubg=="}, {"Authorization": "Bearer"}, {"X-API-Key": ""}):
        assert (await client.get("/jobs", headers=headers)).status_code == 401
    in_url = await keys.create(owner="ann")
    assert (await client.get(f"/jobs?api_key={in_url.text}")).status_code == 401


async def test_two_headers_must_hold_the_same_key(shared: Shared) -> None:
    keys, client = shared
    live, revoked = await keys.create(owner="ann"), await keys.create(owner="ann")
    assert await keys.revoke(revoked.key.id)
    both = bearer(live) | {"X-API-Key": revoked.text}
    assert (await client.get("/jobs", headers=both)).status_code == 401
    assert (await client.get("/jobs", headers=bearer(live) | {"X-API-Key": live.text})).status_code == 200


async def test_x_api_key_is_accepted_beside_basic_credentials_of_a_proxy(shared: Shared) -> None:
    keys, client = shared
    live = await keys.create(owner="ann")
    headers = {"Authorization": "Basic YW5uOmFubg==", "X-API-Key": live.text}
    assert (await client.get("/jobs", headers=headers)).status_code == 200


async def test_key_secret_is_stored_hashed_and_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def watched(one: str, other: str) -> bool:
        compared.append((one, other))
        return compare(one, other)

    async with serving(tmp_path) as (keys, client):
        key = await keys.create(owner="ann")
        stored = (tmp_path / "mediagate.db").read_bytes() + (tmp_path / "mediagate.db-wal").read_bytes()
        assert key.text[-32:].encode() not in stored
        assert key.key.secret_hash.encode() in stored
        monkeypatch.setattr(hmac, "compare_digest", watched)
        wrong = key.text[:-32] + "a" * 32
        unknown = f"mg_live_{'a' * 12}_{key.text[-32:]}"
        for text, status in ((key.text, 200), (wrong, 401), (unknown, 401)):
            assert (await client.get("/jobs", headers={"X-API-Key": text})).status_code == status
        # An unknown id is compared too, so that it takes as long as a wrong secret.
        assert len(compared) == 3
        assert compared[0] == (key.key.secret_hash, key.key.secret_hash)
        assert compared[1][1] == key.key.secret_hash
        assert {len(side) for pair in compared for side in pair} == {64}


async def test_revoked_key_is_refused_at_once_here_and_within_cache_s_elsewhere(tmp_path: Path) -> None:
    async with serving(tmp_path, cache_s=1.0) as (keys, _):
        elsewhere = gate_on(tmp_path / "other", database=f"file:{tmp_path / 'mediagate.db'}", cache_s=1.0)
        async with client_of(elsewhere) as client:
            key = await keys.create(owner="ann")
            assert (await client.get("/jobs", headers=bearer(key))).status_code == 200
            assert await keys.check(key.text) is not None
            assert await keys.revoke(key.key.id)
            revoked_at = time.monotonic()
            assert await keys.check(key.text) is None
            refused = False
            while not refused:
                asked_at = time.monotonic()
                refused = (await client.get("/jobs", headers=bearer(key))).status_code == 401
                assert refused or asked_at < revoked_at + 1.0
            assert (await client.get("/jobs", headers=bearer(key))).status_code == 401


async def test_cache_s_zero_checks_the_database_on_every_request(tmp_path: Path) -> None:
    async with serving(tmp_path, cache_s=0) as (keys, _):
        elsewhere = gate_on(tmp_path / "other", database=f"file:{tmp_path / 'mediagate.db'}", cache_s=0)
        async with client_of(elsewhere) as client:
            key = await keys.create(owner="ann")
            assert (await client.get("/jobs", headers=bearer(key))).status_code == 200
            assert await keys.revoke(key.key.id)
            assert (await client.get("/jobs", headers=bearer(key))).status_code == 401


async def test_key_is_replaced_without_a_refused_request(shared: Shared, photo: bytes) -> None:
    """Both keys work until the old one is revoked, and see the same uploads: these belong to the owner."""
    keys, client = shared
    old = await keys.create(owner="rotating")
    sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=bearer(old))
    new = await keys.create(owner="rotating", scopes=list(old.key.scopes))
    seen = [await client.get(f"/status/{sent.json()['jobId']}", headers=bearer(key)) for key in (old, new, old)]
    assert [answer.status_code for answer in seen] == [202, 202, 202]
    assert await keys.revoke(old.key.id)
    after = [await client.get(f"/status/{sent.json()['jobId']}", headers=bearer(key)) for key in (old, new)]
    assert [answer.status_code for answer in after] == [401, 202]


async def test_last_used_at_is_written_at_most_every_five_minutes(tmp_path: Path) -> None:
    async with serving(tmp_path, cache_s=0) as (keys, client):
        key = await keys.create(owner="ann")
        [before] = await keys.list()
        assert before.last_used_at is None
        wrong = {"X-API-Key": key.text[:-32] + "a" * 32}
        assert (await client.get("/jobs", headers=wrong)).status_code == 401
        assert (await keys.list())[0].last_used_at is None, "a wrong secret does not count as use"
        assert (await client.get("/jobs", headers=bearer(key))).status_code == 200
        [first] = await keys.list()
        assert first.last_used_at is not None
        assert abs(first.last_used_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert (await client.get("/jobs", headers=bearer(key))).status_code == 200
        assert (await keys.list())[0].last_used_at == first.last_used_at, "at most one write in five minutes"


async def test_usage_is_reported_per_key(tmp_path: Path, photo: bytes) -> None:
    async with serving(tmp_path) as (keys, client):
        ann = [await keys.create(owner="ann") for _ in range(3)]
        bob = await keys.create(owner="bob")
        for key in (ann[0], ann[1], ann[0], bob):
            sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=bearer(key))
            assert sent.status_code == 202, sent.text
        usage = (await client.get("/usage", headers=bearer(ann[2]))).json()
        assert {key["key"]: key["uploads"] for key in usage["keys"]} == {ann[0].key.id: 2, ann[1].key.id: 1}
        assert not any(key.text[-32:] in str(usage) for key in ann)
        declared = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
        target = (await client.post("/uploads", json=declared, headers=bearer(ann[1]))).json()
        assert (await client.put(f"http://test{target['url']}", content=photo, headers=target["headers"])).is_success
        done = await client.post(f"http://test{target['completeUrl']}", headers=bearer(ann[0]))
        assert done.status_code == 202, done.text
        usage = (await client.get("/usage", headers=bearer(ann[2]))).json()
        assert {key["key"]: key["uploads"] for key in usage["keys"]} == {ann[0].key.id: 2, ann[1].key.id: 2}, (
            "a direct upload counts for the key that declared it"
        )


async def test_preflight_needs_no_key_and_refusals_carry_cors_headers(tmp_path: Path, photo: bytes) -> None:
    async with serving(tmp_path) as (keys, client):
        wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-api-key"}
        preflight = await client.options("/upload", headers=wanted)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "X-API-Key" in preflight.headers["Access-Control-Allow-Headers"]
        refused = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"
        key = await keys.create(owner="ann", scopes=[Action.READ])
        refused = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=bearer(key))
        assert refused.status_code == 403
        assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"


async def test_key_is_refused_with_503_while_the_database_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = gate_on(tmp_path, cache_s=0)
    async with client_of(gate) as client:
        key = await gate[API_KEYS].create(owner="ann")
        records = gate[RECORDS]
        assert isinstance(records, PrismaRecords)
        await records.close()
        answer = await client.get("/jobs", headers=bearer(key))
        assert (answer.status_code, answer.json()["code"]) == (503, "records_unavailable")
        with pytest.raises(RecordsUnavailable):
            await gate[API_KEYS].create(owner="ann")
        await records.open()
        assert (await client.get("/jobs", headers=bearer(key))).status_code == 200


async def test_create_refuses_invalid_owners_scopes_and_expiries(tmp_path: Path) -> None:
    async with serving(tmp_path) as (keys, _):
        for owner in ("", "a\nb", "x" * 256):
            with pytest.raises(InvalidParameter, match="owner"):
                await keys.create(owner=owner)
        with pytest.raises(InvalidParameter, match="scopes"):
            await keys.create(owner="ann", scopes=[])
        with pytest.raises(InvalidParameter, match="expires_at"):
            await keys.create(owner="ann", expires_at=datetime.now(UTC) - timedelta(seconds=1))
        with pytest.raises(InvalidParameter, match="expires_at"):
            await keys.create(owner="ann", expires_in=timedelta())
        with pytest.raises(InvalidParameter, match="one of them"):
            await keys.create(owner="ann", expires_at=utcnow() + timedelta(days=1), expires_in=timedelta(days=1))
        assert await keys.list() == []


async def test_api_keys_on_memory_records_or_with_a_bad_cache_s_stop_the_boot(tmp_path: Path) -> None:
    gate = gate_on(tmp_path)
    gate.decorate(RECORDS, MemoryRecords())
    with pytest.raises(ConfigError, match="in the records' database"):
        await gate.open()
    for cache_s in (-1.0, 61.0, float("nan")):
        with pytest.raises(ConfigError, match="cache_s"):
            await gate_on(tmp_path, cache_s=cache_s).open()


async def test_erase_of_an_owner_deletes_its_keys_here_at_once_and_elsewhere_within_cache_s(tmp_path: Path) -> None:
    gate = gate_on(tmp_path)
    async with client_of(gate) as client:
        keys = gate[API_KEYS]
        elsewhere = gate_on(tmp_path / "other", database=f"file:{tmp_path / 'mediagate.db'}", cache_s=1.0)
        async with client_of(elsewhere) as other:
            mine = [await keys.create(owner="ann") for _ in range(2)]
            theirs = await keys.create(owner="ann 2")
            assert await keys.revoke(mine[0].key.id)
            for asked in (client, other):
                assert (await asked.get("/jobs", headers=bearer(mine[1]))).status_code == 200
            erased = await gate.erase(owner="ann")
            erased_at = time.monotonic()
            assert erased.others == {"API keys": 2}
            assert (await client.get("/jobs", headers=bearer(mine[1]))).status_code == 401
            refused = False
            while not refused:
                asked_at = time.monotonic()
                refused = (await other.get("/jobs", headers=bearer(mine[1]))).status_code == 401
                assert refused or asked_at < erased_at + 1.0
            assert [key.id for key in await keys.list()] == [theirs.key.id]
            assert (await client.get("/jobs", headers=bearer(theirs))).status_code == 200


async def test_export_of_an_owner_lists_its_keys_without_secrets(tmp_path: Path) -> None:
    gate = gate_on(tmp_path)
    async with gate:
        live = await gate[API_KEYS].create(owner="ann", expires_in=timedelta(days=1))
        revoked = await gate[API_KEYS].create(owner="ann", scopes=[Action.READ])
        await gate[API_KEYS].create(owner="bob")
        await gate[API_KEYS].revoke(revoked.key.id)
        exported = await gate.export(owner="ann", to=tmp_path / "ann.zip")
    assert exported.others == {"api_keys": 2}
    with ZipFile(exported.path) as archive:
        text = archive.read("api_keys.jsonl").decode()
    rows = {row["key"]: row for row in map(json.loads, text.splitlines())}
    assert {key: row["state"] for key, row in rows.items()} == {live.key.id: "live", revoked.key.id: "revoked"}
    assert rows[live.key.id]["scopes"] == ["read", "upload"]
    assert rows[live.key.id]["expiresAt"] and rows[revoked.key.id]["revokedAt"]
    for key in (live, revoked):
        assert key.key.secret_hash not in text
        assert key.text.split("_")[-1] not in text
