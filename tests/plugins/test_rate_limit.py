"""Rate limits as an uploader meets them, on each real store."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from mediagate import MediaGate, Source
from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate.parts import AUTHORIZE
from mediagate.records import Settlement
from mediagate.values import Action, JobStatus, Principal, utcnow
from mediagate_plugins.api_keys import API_KEYS, api_keys
from mediagate_plugins.rate_limit import rate_limit
from mediagate_plugins.rate_limit.addresses import Addresses
from mediagate_plugins.rate_limit.headers import rate_limit_headers
from mediagate_plugins.rate_limit.rules import read_rules

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MakeGate = Callable[..., MediaGate]
NOBODY = "redis://127.0.0.1:1/0"
FORM = {"sourceType": "avatar", "sourceId": "user-1"}
DAY_S = 24 * 3600


def client_of_records(gate: MediaGate) -> Any:
    records: Any = gate.parts.records
    return records.client


class Store:
    """A store of counters."""

    def __init__(self, settings: dict[str, Any], options: dict[str, Any], *, prefix: str = "") -> None:
        self.settings = settings
        self.options = options
        self._prefix = prefix

    async def turn(self, gate: MediaGate, seconds: float) -> None:
        """Make all counters older by this much, as if its clock had been set forward."""
        past = int(seconds * 1000)
        if not self.options:
            counters = client_of_records(gate).mediagateratecounter
            await counters.update_many(where={}, data={"resetsAt": {"decrement": past}})
            return
        async with Redis.from_url(self.options["redis_url"]) as redis:
            async for key in redis.scan_iter(f"{self._prefix}*"):
                ends = await redis.hincrby(key, "ends", -past)
                await redis.pexpireat(key, ends)

    async def counters(self, gate: MediaGate) -> int:
        if not self.options:
            return int(await client_of_records(gate).mediagateratecounter.count())
        async with Redis.from_url(self.options["redis_url"]) as redis:
            return len([key async for key in redis.scan_iter(f"{self._prefix}*")])


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
async def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        prefix = f"mediagate:rate:{secrets.token_hex(6)}:"
        monkeypatch.setattr("mediagate_plugins.rate_limit.redis_counters.PREFIX", prefix)
        async with Redis.from_url(url) as redis:
            yield Store({}, {"redis_url": url}, prefix=prefix)
            async for key in redis.scan_iter(f"{prefix}*"):
                await redis.delete(key)
    elif request.param == "sqlite":
        yield Store({}, {})
    else:
        url = str(request.getfixturevalue("postgres_url"))
        connection = await asyncpg.connect(url)
        await connection.execute('DROP SCHEMA IF EXISTS "rate-limit" CASCADE; CREATE SCHEMA "rate-limit"')
        await connection.close()
        yield Store({"database_url": f"{url}?schema=rate-limit", "migrate": True}, {})


async def known(request: Request, action: Action) -> Principal | None:
    """Authenticate every caller who names a key."""
    owner = request.headers.get("X-Owner")
    key = request.headers.get("X-Key")
    if owner:
        return Principal(owner, key=key)
    return Principal(key) if key else None


@asynccontextmanager
async def client_of(gate: MediaGate) -> AsyncIterator[Callable[..., Any]]:
    """Yield a function that uploads a photo from an address; ``said`` is a wrong length for a chunked body."""
    app = Starlette(routes=[Mount("/image-pipeline", gate)], lifespan=gate.lifespan)
    async with app.router.lifespan_context(app):

        async def upload(
            photo: bytes,
            address: str = "192.0.2.1",
            *,
            chunked: bool = False,
            said: str | None = None,
            pause: Pause | None = None,
            source_type: str = "avatar",
            **headers: str,
        ) -> httpx.Response:
            transport = httpx.ASGITransport(app=app, client=(address, 4000))
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            async with httpx.AsyncClient(transport=transport, base_url="http://test/image-pipeline") as client:
                form = FORM | {"sourceType": source_type}
                request = client.build_request(
                    "POST", "/upload", data=form, files={"file": ("a.jpg", photo)}, headers=headers
                )
                if chunked:
                    await request.aread()
                    plain = {n: v for n, v in request.headers.items() if n != "content-length"}
                    plain |= {"Transfer-Encoding": "chunked"} | ({"Content-Length": said} if said else {})
                    request = client.build_request(
                        "POST", "/upload", headers=plain, content=pieces(request.content, pause)
                    )
                return await client.send(request)

        yield upload


class Pause:
    """A point half-way through an upload at which it waits for the test."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.over = asyncio.Event()


async def pieces(content: bytes, pause: Pause | None) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]
        if pause is not None:
            pause.reached.set()
            await pause.over.wait()


@pytest.fixture
def limited(make_gate: MakeGate) -> Callable[..., MediaGate]:
    """Make a gate without a worker whose records are in the store's database."""

    def make(store: Store | None = None, sources: Any = None, settings: Any = None, **options: Any) -> MediaGate:
        at = store or Store({}, {})
        gate = make_gate(memory=False, sources=sources, **{"worker": False, **at.settings, **(settings or {})})
        gate.register(rate_limit, **{**at.options, **options})
        return gate

    return make


Limited = Callable[..., MediaGate]


def values(field: str) -> dict[str, dict[str, str]]:
    """Read a structured field: name → parameters."""
    items = [item.split(";") for item in field.split(", ")]
    return {name.strip('"'): dict(p.split("=") for p in parameters) for name, *parameters in items}


async def test_rate_limit_headers_tell_what_is_left_and_when_to_retry(
    store: Store, limited: Limited, photo: bytes
) -> None:
    async with client_of(limited(store, per_address=["2/2 seconds", "1 GB/day"])) as upload:
        first = await upload(photo)
        assert first.status_code == 202, first.text
        assert first.headers["RateLimit-Policy"] == (
            '"address-requests-2";q=2;qu="requests";w=2, "address-bytes-86400";q=1000000000;qu="content-bytes";w=86400'
        )
        left = values(first.headers["RateLimit"])
        assert left["address-requests-2"] == {"r": "1", "t": "2"}
        size = length(first)
        assert left["address-bytes-86400"] == {"r": str(10**9 - size), "t": str(DAY_S)}

        # Uploads are refused until the window ends; after Retry-After one is accepted.
        answers = [first]
        while (last := await upload(photo)).status_code == 202:
            answers.append(last)
        assert last.status_code == 429
        assert last.headers["Content-Type"] == "application/problem+json"
        assert last.json()["code"] == "rate_limited" and last.json()["retryable"]
        assert last.json()["detail"].startswith("the limit for this address is 2/2 seconds; try again in ")
        wait_s = int(last.headers["Retry-After"])
        assert 1 <= wait_s <= 2
        assert values(last.headers["RateLimit"])["address-requests-2"] == {"r": "0", "t": str(wait_s)}
        await asyncio.sleep(wait_s)
        assert (await upload(photo)).status_code == 202


async def test_window_ends_on_time_for_each_address(store: Store, limited: Limited, photo: bytes) -> None:
    gate = limited(store, per_address="1/day")
    async with client_of(gate) as upload:
        assert (await upload(photo)).status_code == 202
        await store.turn(gate, DAY_S - 20)
        refused = await upload(photo)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert (await upload(photo, "192.0.2.2")).status_code == 202
        await store.turn(gate, 20)
        end = time.monotonic() + 20
        while (answer := await upload(photo)).status_code == 429:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)  # a process remembers a refusal for a second
        assert answer.status_code == 202
        assert (await upload(photo)).status_code == 429


async def test_byte_limit_counts_the_bytes_that_arrived(store: Store, limited: Limited, photo: bytes) -> None:
    gate = limited(store, sources={"avatar": Source(max_bytes=1_000_000)}, per_address="5 MB/day")
    async with client_of(gate) as upload:
        left = 5_000_000

        async def left_after(answer: httpx.Response) -> int:
            """Return the bytes left before the probe that asks for them."""
            probe = await upload(b"no picture", address=address)
            return int(values(probe.headers["RateLimit"])["address-bytes-86400"]["r"]) + length(probe)

        address = "192.0.2.1"
        sent = await upload(photo, address)
        assert await left_after(sent) == left - length(sent)

        # A body without a length reserves the maximum until it has arrived.
        address = "192.0.2.2"
        sent = await upload(photo, address, chunked=True)
        assert sent.status_code == 202, sent.text
        assert int(values(sent.headers["RateLimit"])["address-bytes-86400"]["r"]) == left - 1_000_000 - 2**20
        assert await left_after(sent) == left - (await size_of(photo))

        # So does a chunked body: its Content-Length does not bind it.
        address = "192.0.2.3"
        lie = await upload(photo, address, chunked=True, said="10")
        assert lie.status_code == 202, lie.text
        assert await left_after(lie) == left - (await size_of(photo))

        # A refused body counts for the bytes that arrived.
        address = "192.0.2.4"
        bad = await upload(b"x" * 500_000, address)
        assert bad.status_code == 415
        assert await left_after(bad) == left - length(bad)


async def size_of(photo: bytes) -> int:
    request = httpx.Request("POST", "http://test/", data=FORM, files={"file": ("a.jpg", photo)})
    return len(await request.aread())


def length(answer: httpx.Response) -> int:
    return int(answer.request.headers["Content-Length"])


async def test_upload_that_can_never_fit_is_refused_without_retry_after(limited: Limited, photo: bytes) -> None:
    async with client_of(limited(per_address=["10 KB/day", "5/day"])) as upload:
        big = await upload(b"x" * 20_000)
        assert (big.status_code, big.json()["code"]) == (413, "upload_too_large")
        assert "Retry-After" not in big.headers
        unknown = await upload(photo, chunked=True)
        assert (unknown.status_code, unknown.json()["code"]) == (411, "length_required")
        small = await upload(b"x" * 1000)
        assert small.status_code == 415
        assert values(small.headers["RateLimit"])["address-requests-86400"]["r"] == "4", (
            "refused uploads count for nothing"
        )


async def test_refused_upload_counts_only_for_limits_it_had_passed(
    store: Store, limited: Limited, photo: bytes
) -> None:
    gate = limited(store, per_address=["5/day", "1 GB/day"], per_source={"avatar": ["1/day", "50 MB/hour"]})
    async with client_of(gate) as upload:
        first = await upload(photo)
        assert first.status_code == 202
        # Refused by the source: the upload counts for the address and for no limit of the source.
        for left in ("3", "2"):
            refused = await upload(photo)
            assert refused.status_code == 429
            assert refused.json()["detail"].startswith("the limit for this source avatar is 1/day")
            stand = values(refused.headers["RateLimit"])
            assert stand["address-requests-86400"]["r"] == left
            if left == "3":  # the second time the process remembers only what was refused
                assert stand["source-avatar-bytes-3600"]["r"] == str(50_000_000 - length(first))
        other = await upload(photo, source_type="post")
        assert other.status_code == 202
        assert values(other.headers["RateLimit"])["address-bytes-86400"]["r"] == str(
            10**9 - 3 * length(first) - length(other)
        )
        assert (await upload(photo, source_type="post")).status_code == 202
        # Refused by the address before the body is read: the upload counts for nothing.
        for _ in range(3):
            refused = await upload(photo, source_type="post")
            assert refused.status_code == 429
            assert values(refused.headers["RateLimit"])["address-requests-86400"]["r"] == "0"


async def test_keys_and_addresses_are_limited_separately(limited: Limited, photo: bytes) -> None:
    gate = limited(per_key="2/day", per_address="4/day", per_source={"post": "1/day"})
    gate.decorate(AUTHORIZE, known)
    async with client_of(gate) as upload:
        for _ in range(9):
            assert (await upload(photo)).status_code == 401, "an unauthenticated request counts for nothing"
        assert (await upload(photo, X_Key="ann")).status_code == 202
        assert (await upload(photo, "192.0.2.9", X_Key="ann")).status_code == 202
        refused = await upload(photo, "192.0.2.10", X_Key="ann")
        assert refused.status_code == 429
        assert refused.json()["detail"].startswith("the limit for this key is 2/day")
        for name in ("bob", "cid", "dan"):
            assert (await upload(photo, X_Key=name)).status_code == 202
        assert (await upload(photo, X_Key="eve")).status_code == 429, "the four of the address are used up"
        # A limit of a source applies to each key, from whichever address.
        assert (await upload(photo, "192.0.2.20", X_Key="fay", source_type="post")).status_code == 202
        assert (await upload(photo, "192.0.2.21", X_Key="fay", source_type="post")).status_code == 429
        assert (await upload(photo, "192.0.2.20", X_Key="gil", source_type="post")).status_code == 202


@asynccontextmanager
async def asking_of(gate: MediaGate) -> AsyncIterator[Callable[..., Any]]:
    """Yield a function that sends a request from an address with a key."""
    async with gate:

        async def ask(key: str, address: str = "192.0.2.1", method: str = "GET", path: str = "/jobs") -> httpx.Response:
            transport = httpx.ASGITransport(app=gate, client=(address, 4000))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers={"X-API-Key": key})

        yield ask


def a_strangers_key() -> str:
    """Return a well-formed key that does not exist."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "mg_live_{}_{}".format(*("".join(secrets.choice(letters) for _ in range(n)) for n in (12, 32)))


async def test_failure_limit_stops_key_guessing_before_the_database(limited: Limited) -> None:
    gate = limited(per_address="100/day", failures_per_address="5/2 seconds")
    gate.register(api_keys)
    async with asking_of(gate) as ask:
        good = (await gate[API_KEYS].create(owner="ann")).text
        for _ in range(9):
            assert (await ask(good)).status_code == 200, "only failures count"
        began = time.monotonic()
        for _ in range(5):
            assert (await ask(a_strangers_key())).status_code == 401
        records: Any = gate.parts.records
        await records.close()  # requests that need the database are answered 503 from now on
        assert (await ask(a_strangers_key(), "192.0.2.2")).status_code == 503
        for method, path in (("GET", "/jobs"), ("GET", "/status/job_x"), ("POST", "/upload"), ("DELETE", "/media/x"),
                             ("POST", "/uploads"), ("GET", "/usage")):  # fmt: skip
            refused = await ask(a_strangers_key(), method=method, path=path)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited"), path
            assert 1 <= int(refused.headers["Retry-After"]) <= 2
            assert "failed authentications of this address is 5/2 seconds" in refused.json()["detail"]
        assert (await ask("", path="/healthz")).status_code == 200
        await records.open()
        assert (await ask(good)).status_code == 429, "with a good key too"
        assert (await ask(good, "192.0.2.2")).status_code == 200, "other addresses are not affected"
        await asyncio.sleep(began + 2.1 - time.monotonic())
        assert (await ask(good)).status_code == 200
        assert (await ask(a_strangers_key())).status_code == 401


async def test_failure_limit_is_on_by_default_only_with_per_address(limited: Limited) -> None:
    for options, most in (
        ({"per_address": "9/day"}, 60),
        ({"per_address": "9/day", "failures_per_address": ()}, None),
        ({"per_key": "9/day"}, None),
        ({"failures_per_address": ["3/minute", "2/hour"]}, 2),
    ):
        gate = limited(**options)
        gate.decorate(AUTHORIZE, known)
        async with asking_of(gate) as ask:
            statuses = [(await ask("")).status_code for _ in range(70)]
        assert statuses == ([401] * 70 if most is None else [401] * most + [429] * (70 - most)), options


async def test_failure_limit_evicts_the_oldest_address(limited: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate_plugins.rate_limit.failures.KEPT", 3)
    gate = limited(failures_per_address="1/day")
    gate.decorate(AUTHORIZE, known)
    async with asking_of(gate) as ask:
        for n in range(4):
            assert (await ask("", f"192.0.2.{n}")).status_code == 401
        assert [(await ask("", f"192.0.2.{n}")).status_code for n in (3, 2, 1)] == [429] * 3
        assert (await ask("", "192.0.2.0")).status_code == 401


PROXY = ["10.0.0.0/8", "2001:db8:ffff::/48"]


async def test_two_keys_of_an_owner_are_limited_separately(limited: Limited, photo: bytes) -> None:
    gate = limited(per_key=["2/day", "2 jobs"], per_source={"post": "1/day"})
    gate.decorate(AUTHORIZE, known)
    async with client_of(gate) as upload:
        for who in ({"X_Owner": "ann", "X_Key": "k1"}, {"X_Owner": "ann", "X_Key": "k2"}, {"X_Owner": "ann"},
                    {"X_Owner": "bob", "X_Key": "k1"}):  # fmt: skip
            assert (await upload(photo, source_type="post", **who)).status_code == 202, who
            assert (await upload(photo, source_type="post", **who)).status_code == 429, who
            assert (await upload(photo, "192.0.2.9", **who)).status_code == 429, "from whichever address"


@pytest.mark.parametrize(
    ("trusted", "first", "second", "same"),
    [
        # The header of an untrusted peer is ignored.
        ([], ("192.0.2.1", "198.51.100.1"), ("192.0.2.1", "198.51.100.2"), True),
        (PROXY, ("192.0.2.1", "198.51.100.1"), ("192.0.2.1", "198.51.100.2"), True),
        (PROXY, ("10.0.0.1", "198.51.100.1"), ("10.0.0.1", "198.51.100.2"), False),
        (PROXY, ("10.0.0.1", "198.51.100.1"), ("10.9.9.9", "198.51.100.1"), True),
        # Entries in front of those that trusted proxies appended are ignored.
        (PROXY, ("10.0.0.1", "1.1.1.1, 198.51.100.1"), ("10.0.0.1", "2.2.2.2, 198.51.100.1, 10.0.0.2"), True),
        (PROXY, ("10.0.0.1", "nonsense, 10.0.0.2"), ("10.0.0.2", ""), True),
        (PROXY, ("10.0.0.1", "198.51.100.1:4711"), ("10.0.0.1", "198.51.100.1"), True),
        (PROXY, ("2001:db8:ffff::1", "[2001:db8::1]:99"), ("10.0.0.1", "2001:db8::2%eth0"), True),
        (PROXY, ("10.0.0.1", "1.1.1.1|198.51.100.1"), ("10.0.0.1", "198.51.100.1"), True),
        # A /64 network of IPv6 is one caller.
        ([], ("2001:db8::1", ""), ("2001:db8::ffff:0:1", ""), True),
        ([], ("2001:db8::1", ""), ("2001:db8:0:1::1", ""), False),
        ([], ("::ffff:192.0.2.1", ""), ("192.0.2.1", ""), True),
        ([], ("::ffff:192.0.2.1", ""), ("::ffff:192.0.2.2", ""), False),
        (["unix"], ("", "198.51.100.1"), ("", "198.51.100.2"), False),
        ([], ("", "198.51.100.1"), ("", "198.51.100.2"), True),
    ],
    ids=str,
)
def test_addresses_believe_forwarded_for_only_from_trusted_proxies(
    trusted: list[str], first: tuple[str, str], second: tuple[str, str], same: bool
) -> None:
    def seen(peer: str, forwarded: str) -> str:
        headers = [(b"x-forwarded-for", part.encode()) for part in forwarded.split("|") if part]
        scope = {"type": "http", "headers": headers, "client": (peer, 4000) if peer else None}
        return Addresses(trusted).of(Request(scope))

    assert (seen(*first) == seen(*second)) is same


async def test_forged_forwarded_for_does_not_evade_the_limit(limited: Limited, photo: bytes) -> None:
    async with client_of(limited(per_address="1/day", trusted_proxies=["10.0.0.1"])) as upload:
        assert (await upload(photo, "192.0.2.1", X_Forwarded_For="198.51.100.1")).status_code == 202
        assert (await upload(photo, "192.0.2.1", X_Forwarded_For="198.51.100.2")).status_code == 429
        assert (await upload(photo, "10.0.0.1", X_Forwarded_For="198.51.100.1")).status_code == 202
        assert (await upload(photo, "10.0.0.1", X_Forwarded_For="198.51.100.2")).status_code == 202
        assert (await upload(photo, "10.0.0.1", X_Forwarded_For="9.9.9.9, 198.51.100.2")).status_code == 429


async def end(gate: MediaGate, job_id: str, how: str) -> None:
    """End a job in the way that ``how`` names."""
    records, now = gate.parts.records, utcnow()
    if how == "cancelled":
        await gate.cancel(job_id)
        return
    job = await records.claim(job_id, owner="test", now=now, lease_until=now + timedelta(seconds=-1))
    assert job is not None
    if how == "failed":
        settlement = Settlement(JobStatus.FAILED, error="it broke", code="image_crashed", retryable=True)
        assert await records.settle(job, owner="test", now=now, settlement=settlement)
    else:
        for _ in range(2):
            assert await records.claim(job_id, owner="test", now=now, lease_until=now + timedelta(seconds=-1))
        assert await records.fail_exhausted(now=now, limit=10) == [job_id]


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
async def test_job_slot_is_freed_however_the_job_ends(store: Store, limited: Limited, photo: bytes) -> None:
    gate = limited(store, per_address=["50/day", "2 jobs"], per_source={"post": "1 jobs"})
    async with client_of(gate) as upload:
        jobs = [(await upload(photo)).json()["jobId"] for _ in range(2)]
        ended: list[str] = []
        for how in ("cancelled", "failed", "died on every attempt"):
            refused = await upload(photo)
            assert refused.status_code == 429, how
            assert refused.json()["detail"] == "the limit for this address is 2 jobs at once; wait until one has ended"
            assert int(refused.headers["Retry-After"]) >= 1
            assert values(refused.headers["RateLimit"])["address-jobs"] == {"r": "0"}
            ended.append(jobs.pop(0))
            await end(gate, ended[-1], how)
            again = await upload(photo)
            assert again.status_code == 202, how
            left = int(values(again.headers["RateLimit"])["address-requests-86400"]["r"])
            assert left == 48 - len(ended), "refused uploads count for nothing"
            jobs.append(again.json()["jobId"])
        # A failed upload keeps no slot, nor does one that the source refuses.
        who = "192.0.2.2"
        for _ in range(3):
            assert (await upload(b"no picture", who)).status_code == 415
        assert (await upload(photo, who, source_type="post")).status_code == 202
        for _ in range(3):
            assert (await upload(photo, who, source_type="post")).status_code == 429
        assert (await upload(photo, who)).status_code == 202
        assert (await upload(photo, who)).status_code == 429


async def test_job_slot_is_held_while_the_upload_arrives(limited: Limited, photo: bytes) -> None:
    async with client_of(limited(per_address="2 jobs")) as upload:
        pauses = [Pause(), Pause()]
        slow = [asyncio.create_task(upload(photo, chunked=True, pause=pause)) for pause in pauses]
        for pause in pauses:
            await pause.reached.wait()
        assert (await upload(photo)).status_code == 429
        slow[0].cancel()  # the client hangs up
        await asyncio.gather(slow[0], return_exceptions=True)
        assert (await upload(photo)).status_code == 202
        assert (await upload(photo)).status_code == 429
        pauses[1].over.set()
        assert (await slow[1]).status_code == 202


async def test_job_slot_is_extended_during_a_slow_upload(
    store: Store, limited: Limited, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate_plugins.rate_limit.slots.RECEIVING_S", 1.5)
    monkeypatch.setattr("mediagate_plugins.rate_limit.RENEW_EVERY_S", 0.5)
    gate = limited(store, per_address="1 jobs", per_source={"avatar": "1 jobs"})
    async with client_of(gate) as upload:
        pause = Pause()
        slow = asyncio.create_task(upload(photo, chunked=True, pause=pause))
        await pause.reached.wait()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert (await upload(photo)).status_code == 429, "an upload that is still arriving holds its slot"
            await asyncio.sleep(0.2)
        pause.over.set()
        sent = await slow
        assert sent.status_code == 202
        assert (await upload(photo)).status_code == 429, "its job holds the slot afterwards"
        await gate.cancel(sent.json()["jobId"])
        assert (await upload(photo)).status_code == 202


async def test_job_slot_that_lapsed_is_taken_again(store: Store, limited: Limited, photo: bytes) -> None:
    gate = limited(store, per_address="2 jobs", per_key="1 jobs")
    gate.decorate(AUTHORIZE, known)
    async with client_of(gate) as upload:
        pause = Pause()
        slow = asyncio.create_task(upload(photo, chunked=True, pause=pause, X_Key="ann"))
        await pause.reached.wait()
        # As if the process had been suspended and another one had removed its lapsed slots.
        slots = client_of_records(gate).mediagaterateslot
        assert await slots.delete_many(where={}) == 2
        pause.over.set()
        sent = await slow
        assert sent.status_code == 202
        assert await slots.count(where={"jobId": sent.json()["jobId"]}) == 2
        assert (await upload(photo, X_Key="ann")).status_code == 429, "its job counts nevertheless"
        await gate.cancel(sent.json()["jobId"])
        assert (await upload(photo, X_Key="ann")).status_code == 202


async def test_job_slot_is_freed_by_a_complete_job(limited: Limited, photo: bytes) -> None:
    gate = limited(per_address="1 jobs", settings={"worker": True})
    async with client_of(gate) as upload:
        for _ in range(3):
            sent = await upload(photo)
            assert sent.status_code == 202, sent.text
            assert (await gate.wait(sent.json()["jobId"])).status == "COMPLETE"


async def test_job_slot_is_taken_once_per_idempotency_key(limited: Limited, photo: bytes) -> None:
    async with client_of(limited(per_address="2 jobs")) as upload:
        key = secrets.token_hex(8)
        first = await upload(photo, Idempotency_Key=key)
        for _ in range(3):
            assert (await upload(photo, Idempotency_Key=key)).json()["jobId"] == first.json()["jobId"]
        assert (await upload(photo)).status_code == 202
        assert (await upload(photo)).status_code == 429


async def test_expired_counters_and_slots_are_removed(store: Store, limited: Limited, photo: bytes) -> None:
    gate = limited(store, per_address=["100/minute", "1 GB/day", "3 jobs"])
    async with client_of(gate) as upload:
        for n in range(5):
            sent = await upload(photo, f"192.0.2.{n}")
            assert sent.status_code == 202
            await gate.cancel(sent.json()["jobId"])
        assert await store.counters(gate) == 10
        await store.turn(gate, 61)
    async with client_of(gate):
        assert await store.counters(gate) == 5, "the counters of the day remain"
        await store.turn(gate, DAY_S)
        assert await client_of_records(gate).mediagaterateslot.count() == 0
    async with client_of(gate):
        assert await store.counters(gate) == 0


async def test_stored_counters_and_slots_hide_addresses_and_keys(limited: Limited, photo: bytes) -> None:
    gate = limited(per_address=["9/day", "3 jobs"], per_key="9/day")
    gate.decorate(AUTHORIZE, known)
    async with client_of(gate) as upload:
        await upload(photo, "192.0.2.77", X_Key="ann")
        client = client_of_records(gate)
        rows = [str(row) for row in await client.mediagateratecounter.find_many()]
        rows += [str(row) for row in await client.mediagaterateslot.find_many()]
        assert len(rows) == 3
        assert not any("192.0.2.77" in row or "ann" in row for row in rows)


@pytest.mark.parametrize(("store_down", "status"), [("allow", 202), ("refuse", 503)])
async def test_store_down_allows_or_refuses_uploads_as_configured(
    limited: Limited, photo: bytes, store_down: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    gate = limited(per_address=["1/day", "3 jobs"], redis_url=NOBODY, store_down=store_down)
    async with client_of(gate) as upload:
        for _ in range(3):
            answer = await upload(photo)
            assert answer.status_code == status
        if status == 202:
            assert (await upload(photo)).status_code == 429, "jobs are counted in the database, which is available"
    if status == 503:
        assert answer.json()["code"] == "unavailable"
        assert "Retry-After" in answer.headers
    else:
        assert "limits not enforced for an upload" in caplog.text


async def test_redis_password_is_replaced_while_both_are_valid(
    make_gate: MakeGate, photo: bytes, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"mediagate:rate:{secrets.token_hex(6)}:"
    monkeypatch.setattr("mediagate_plugins.rate_limit.redis_counters.PREFIX", prefix)
    user, old, new = f"mediagate_test_{secrets.token_hex(6)}", secrets.token_hex(8), secrets.token_hex(8)

    async def status_with(password: str) -> int:
        gate = make_gate(worker=False)
        url = redis_url.replace("://", f"://{user}:{password}@")
        gate.register(rate_limit, per_address="2/day", redis_url=url, store_down="refuse")
        async with client_of(gate) as upload:
            return int((await upload(photo)).status_code)

    async with Redis.from_url(redis_url) as redis:
        try:
            allowed: dict[str, Any] = {"enabled": True, "keys": [f"{prefix}*"], "categories": ["+@all"]}
            await redis.acl_setuser(user, passwords=[f"+{old}"], **allowed)
            assert await status_with(old) == 202
            await redis.acl_setuser(user, passwords=[f"+{new}"], **allowed)
            assert await status_with(new) == 202
            await redis.acl_setuser(user, passwords=[f"-{old}"], **allowed)
            assert [await status_with(new), await status_with(old)] == [429, 503]
        finally:
            await redis.acl_deluser(user)
            async for key in redis.scan_iter(f"{prefix}*"):
                await redis.delete(key)


async def test_rate_limit_in_the_database_needs_prisma_records(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False)
    gate.register(rate_limit, per_address="1/day")
    with pytest.raises(ConfigError, match="Prisma records"):
        await gate.open()
    gate = make_gate(worker=False)
    gate.register(rate_limit, per_address="3 jobs", redis_url=NOBODY)
    with pytest.raises(ConfigError, match="remove limits on jobs"):
        await gate.open()


async def test_rate_limit_without_its_tables_stops_the_boot(limited: Limited, tmp_path: Any) -> None:
    gate = limited(settings={"database_url": f"file:{tmp_path / 'empty.db'}", "migrate": False}, per_address="1/day")
    with pytest.raises((ConfigError, RecordsUnavailable), match="mediagate migrate"):
        await gate.open()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no limit is set"),
        ({"per_address": "often"}, "write limits as '100/minute'"),
        ({"per_address": "100/fortnight"}, "windows: second, minute, hour, day, week"),
        ({"per_address": "2 gb/day"}, "units: B, KB"),
        ({"per_address": "1.5/day"}, "must be an integer"),
        ({"per_address": "0/day"}, "positive numbers"),
        ({"per_address": "1/400 days"}, "at most a year"),
        ({"per_address": "0 jobs"}, "1 to 1,000 jobs"),
        ({"per_address": ["1/minute", "9/60 seconds"]}, "same kind and window"),
        ({"per_key": ["5 jobs", "6 jobs"]}, "same kind and window"),
        ({"failures_per_address": "5 jobs"}, "is not a number of requests"),
        ({"failures_per_address": "2 MB/day"}, "is not a number of requests"),
        ({"failures_per_address": "often"}, "rate_limit.failures_per_address: 'often'"),
        ({"failures_per_address": ()}, "no limit is set"),
        ({"per_source": {"nowhere": "1/day"}}, "'nowhere' is not a source of the gate; use one of: avatar, post"),
        ({"per_source": {"post": "x"}}, "rate_limit.per_source.post: 'x'"),
        ({"per_key": "1/day", "trusted_proxies": ["proxy.example"]}, "use addresses, networks or 'unix'"),
        ({"per_key": "1/day", "trusted_proxies": ["10.0.0.1/8"]}, "host bits"),
        ({"per_key": "1/day", "store_down": "panic"}, "use 'allow' or 'refuse'"),
        ({"per_key": "1/day", "redis_url": "localhost:6379"}, "redis://host:6379/0"),
    ],
    ids=str,
)
async def test_rate_limit_with_a_wrong_option_stops_the_boot(
    make_gate: MakeGate, options: dict[str, Any], said: str
) -> None:
    gate = make_gate(worker=False)
    gate.register(rate_limit, **options)
    with pytest.raises(ConfigError) as caught:
        async with gate.assembled():
            pass
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("100/minute", 'q=100;qu="requests";w=60'),
        ("1_000 / 2 hours", 'q=1000;qu="requests";w=7200'),
        ("7 requests/second", 'q=7;qu="requests";w=1'),
        ("1.5 GB/day", 'q=1500000000;qu="content-bytes";w=86400'),
        ("2 MiB/week", 'q=2097152;qu="content-bytes";w=604800'),
        ("1 jobs", 'q=1;qu="concurrent-requests"'),
        ("12 jobs", 'q=12;qu="concurrent-requests"'),
    ],
)
def test_read_rules_parses_the_text_of_a_limit(text: str, policy: str) -> None:
    [rule] = read_rules((), text, {}, ()).all
    assert rate_limit_headers([rule], {})["RateLimit-Policy"].partition(";")[2] == policy


async def test_erase_of_an_owner_removes_its_counters_and_slots(store: Store, limited: Limited, photo: bytes) -> None:
    gate = limited(store, per_key=["2/day", "1 GB/day", "2 jobs"], per_source={"avatar": "7/day"}, per_address="99/day")
    gate.decorate(AUTHORIZE, known)
    ann, bob = {"X_Owner": "ann", "X_Key": "k1"}, {"X_Owner": "bob", "X_Key": "k1"}
    async with client_of(gate) as upload:
        for headers in (ann, ann, bob):
            assert (await upload(photo, **headers)).status_code == 202
        assert (await upload(photo, **ann)).status_code == 429
        assert await store.counters(gate) == 2 * 3 + 1
        erased = await gate.erase(owner="ann")
        assert erased.others == {"rate limit counters": 3, "rate limit slots": 2}
        assert await store.counters(gate) == 3 + 1
        for headers in (ann, ann, bob):
            assert (await upload(photo, **headers)).status_code == 202
        for headers in (ann, bob):
            assert (await upload(photo, **headers)).status_code == 429


async def test_erase_is_refused_while_the_store_of_the_counters_is_down(limited: Limited, photo: bytes) -> None:
    gate = limited(per_key="9/day")
    async with gate:
        await gate.upload(photo, source_type="avatar", source_id="u1", owner="ann")
        await client_of_records(gate).execute_raw("ALTER TABLE mediagate_rate_counter RENAME TO elsewhere")
        with pytest.raises(RecordsUnavailable):
            await gate.erase(owner="ann")
        assert len((await gate.list_jobs(owner="ann")).items) == 1
