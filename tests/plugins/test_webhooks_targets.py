"""Which hosts a webhook may reach: addresses, DNS rebinding, certificates, callbacks."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from standardwebhooks import Webhook

from mediagate import MediaGate, Settings, Source
from mediagate.errors import InvalidParameter
from mediagate.outbound.addresses import may_be_reached
from mediagate.outbound.resolver import THREADS, Resolver
from mediagate.values import utcnow
from mediagate_plugins.webhooks import WEBHOOKS, Callbacks, Endpoint, webhooks
from tests.support import loopback
from tests.support.forked import SHARED
from tests.support.receiver import Behaviour, Receiver, answer, hang, receiving
from tests.support.until import until

pytestmark = pytest.mark.slow

REFUSAL = "which is not public; to allow it, add its network to private_networks"
NOT_ALLOWED = "the host is not allowed for callbacks; use one that the service names"

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of 24+ bytes.").decode()
BASE = "https://gate.example"
PUBLIC = (
    "93.184.216.34",
    "8.8.8.8",
    "2606:2800:220:1::1",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)
NOT_PUBLIC = (
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_may_be_reached(address: str) -> None:
    assert may_be_reached(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_non_public_address_may_not_be_reached(address: str) -> None:
    assert not may_be_reached(address)


class Names:
    """A fake of ``getaddrinfo``: the answers for a name, in turn; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.hung: set[str] = set()
        self.over = threading.Event()
        self._ask_the_system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host not in self.answers:
            return self._ask_the_system(host, port, *args, **options)
        self.asked.append(host)
        if host in self.hung:
            self.over.wait(120)
        turns = self.answers[host]
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names(monkeypatch)
    yield names
    names.over.set()


def make_gate(data_dir: Path, *, worker: bool = False, **options: Any) -> MediaGate:
    settings = Settings(
        data_dir=data_dir, public_base_url=BASE, worker=worker, image_processes=1, max_attempts=1, drain_timeout_s=0
    )
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    gate.fork_server = SHARED
    gate.register(webhooks, **options)
    return gate


async def an_event(gate: MediaGate, photo: bytes, **fields: Any) -> None:
    sent = await gate.upload(photo, source_type="avatar", source_id="u1", **fields)
    await gate.cancel(sent.job_id)


async def errors(gate: MediaGate) -> dict[str, str | None]:
    return {delivery.endpoint: delivery.error for delivery in await gate[WEBHOOKS].find()}


@pytest.mark.anyio
async def test_webhook_connects_to_the_address_that_was_checked(tmp_path: Path, photo: bytes, names: Names) -> None:
    with receiving(host="127.0.0.2") as allowed, receiving(host="127.0.0.1", port=allowed.port) as forbidden:
        url = f"http://flip.example:{allowed.port}/"
        endpoint = Endpoint(url, [SECRET], insecure_http=True, private_networks=["127.0.0.2/32"])
        names.answers["flip.example"] = [["127.0.0.2"], ["127.0.0.1"]]
        async with make_gate(tmp_path, endpoints={"app": endpoint}) as gate:
            await an_event(gate, photo)
            await gate[WEBHOOKS].deliver_due()
            assert (len(allowed.received), len(forbidden.received)) == (1, 0)
            assert names.asked == ["flip.example"], "the checked address is connected to, without a second lookup"
            assert allowed.received[0].headers["host"] == f"flip.example:{allowed.port}"
            await an_event(gate, photo)
            await gate[WEBHOOKS].deliver_due()
            assert (len(allowed.received), len(forbidden.received)) == (1, 0)
            (waiting,) = await gate[WEBHOOKS].find(status="pending")
            assert waiting.error == f"the host resolves to 127.0.0.1, {REFUSAL}"
        await asyncio.to_thread(loopback.post, url)
        assert len(forbidden.received) == 1, "a client with a lookup of its own would reach the forbidden host"


@pytest.mark.anyio
async def test_webhook_checks_every_address_of_a_name(tmp_path: Path, photo: bytes, names: Names) -> None:
    with receiving(host="127.0.0.2") as receiver:
        answers: dict[str, list[list[str]]] = {
            "mixed.example": [["127.0.0.2", "10.0.0.1"]],
            "mapped.example": [["::ffff:127.0.0.1"]],
            "nat64.example": [["64:ff9b::a9fe:a9fe"]],
            "silent.example": [[]],
            "dual.example": [["127.0.0.3", "127.0.0.2"]],
        }
        names.answers |= answers
        endpoints = {
            name.partition(".")[0]: Endpoint(
                f"http://{name}:{receiver.port}/", [SECRET], insecure_http=True,
                private_networks=["127.0.0.2/32", "127.0.0.3/32"],
            )
            for name in answers
        }  # fmt: skip
        endpoints["decimal"] = Endpoint(f"http://2130706433:{receiver.port}/", [SECRET], insecure_http=True)
        async with make_gate(tmp_path, endpoints=endpoints) as gate:
            await an_event(gate, photo)
            await gate[WEBHOOKS].deliver_due()
            assert await errors(gate) == {
                "mixed": f"the host resolves to 10.0.0.1, {REFUSAL}",
                "mapped": f"the host resolves to ::ffff:127.0.0.1, {REFUSAL}",
                "nat64": f"the host resolves to 64:ff9b::a9fe:a9fe, {REFUSAL}",
                "silent": "the host name cannot be resolved (gaierror)",
                "decimal": f"the host resolves to 127.0.0.1, {REFUSAL}",
                "dual": None,
            }
        assert len(receiver.received) == 1, "of two permitted addresses the one that answers is used"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serve_tls(authority: trustme.CA) -> Iterator[Callable[..., Receiver]]:
    """Run a receiver with a certificate for a name."""
    with ExitStack() as stack:

        def serve(name: str, *behaviours: Behaviour) -> Receiver:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(name).configure_cert(context)
            return stack.enter_context(receiving(*behaviours, tls=context))

        yield serve


@pytest.mark.anyio
async def test_certificate_is_verified_for_the_name_not_the_address(
    tmp_path: Path, photo: bytes, names: Names, authority: trustme.CA, serve_tls: Callable[..., Receiver]
) -> None:
    receiver = serve_tls("hooks.example")
    names.answers |= {"hooks.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]}
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    endpoints = {
        host.partition(".")[0]: Endpoint(
            f"https://{host}:{receiver.port}/in", [SECRET], private_networks=["127.0.0.1/32"]
        )
        for host in ("hooks.example", "other.example")
    }
    async with make_gate(tmp_path / "one", endpoints=endpoints, ca_file=ca_file) as gate:
        await an_event(gate, photo)
        await gate[WEBHOOKS].deliver_due()
        found = await errors(gate)
        assert found["hooks"] is None
        assert "invalid certificate" in str(found["other"])
    async with make_gate(tmp_path / "two", endpoints={"hooks": endpoints["hooks"]}) as gate:
        await an_event(gate, photo)
        await gate[WEBHOOKS].deliver_due()
        assert "invalid certificate" in str((await errors(gate))["hooks"]), "the authority is not trusted"
    assert [one.headers["host"] for one in receiver.received] == [f"hooks.example:{receiver.port}"]
    assert set(receiver.names) == {"hooks.example", "other.example"}


@pytest.mark.anyio
async def test_callback_goes_only_to_hosts_that_the_gate_allows(
    tmp_path: Path, photo: bytes, names: Names, authority: trustme.CA, serve_tls: Callable[..., Receiver]
) -> None:
    receiver = serve_tls("a.hooks.example", answer(204), answer(410))
    names.answers |= {"a.hooks.example": [["127.0.0.1"]], "deep.hooks.example": [["10.0.0.7"]]}
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    callbacks = Callbacks([SECRET], hosts=["*.hooks.example"], private_networks=["127.0.0.1/32"])
    gate = make_gate(tmp_path, callbacks=callbacks, ca_file=ca_file)
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url=BASE) as client:
        url = f"https://a.hooks.example:{receiver.port}/done?of=1"
        form = {"sourceType": "avatar", "sourceId": "u1", "callbackUrl": url}
        sent = await client.post("/upload", data=form, files={"file": ("a.jpg", photo)})
        assert sent.status_code == 202, sent.text
        await gate.cancel(sent.json()["jobId"])
        await an_event(gate, photo)
        await an_event(gate, photo, callback_url="https://deep.hooks.example/")
        assert await gate[WEBHOOKS].deliver_due() == 2, "an upload without callbackUrl has no callback"
        assert sorted(map(str, [d.error for d in await gate[WEBHOOKS].find()])) == [
            "None",
            f"the host resolves to 10.0.0.7, {REFUSAL}",
        ]
        refused = {
            "https://hooks.example/": "the host is not allowed for callbacks",
            "https://evil-hooks.example/": "the host is not allowed for callbacks",
            "https://a.hooks.example@evil.example/": "user name and password",
            "https://a.hooks.example\\@evil.example/": "printable ASCII",
            "http://a.hooks.example/": "https",
        }
        for bad, said in refused.items():
            said_no = await client.post("/upload", data=form | {"callbackUrl": bad}, files={"file": ("a.jpg", photo)})
            assert (said_no.status_code, said_no.json()["code"]) == (400, "invalid_parameter")
            assert said in said_no.json()["detail"]
        await an_event(gate, photo, callback_url=url)
        await gate[WEBHOOKS].deliver_due()
        assert [d.error for d in await gate[WEBHOOKS].find(status="dead")] == ["answered 410"]
        assert await gate[WEBHOOKS].stopped() == {}, "a 410 of a callback stops no endpoint"
    one = receiver.received[0]
    body = Webhook(SECRET).verify(one.body, one.headers)
    assert (body["type"], body["data"]["jobId"], one.path) == ("job.cancelled", sent.json()["jobId"], "/done?of=1")


@pytest.mark.anyio
async def test_callback_without_listed_hosts_may_name_any_public_host(tmp_path: Path, photo: bytes) -> None:
    async with make_gate(tmp_path, callbacks=Callbacks([SECRET])) as gate:
        await gate.upload(photo, source_type="avatar", source_id="u1", callback_url="https://hooks.example.com/x")
        for private in ("https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest/"):
            with pytest.raises(InvalidParameter, match="it must name a public host"):
                await gate.upload(photo, source_type="avatar", source_id="u1", callback_url=private)


@pytest.mark.anyio
async def test_callback_to_a_host_no_longer_allowed_is_dead(tmp_path: Path, photo: bytes) -> None:
    async with make_gate(tmp_path, callbacks=Callbacks([SECRET])) as gate:
        await an_event(gate, photo, callback_url="https://hooks.example.com/x")
    async with make_gate(tmp_path, callbacks=Callbacks([SECRET], hosts=["other.example"])) as gate:
        await gate[WEBHOOKS].deliver_due()
        (delivery,) = await gate[WEBHOOKS].find()
        assert (delivery.status, delivery.error) == ("dead", f"callbackUrl: {NOT_ALLOWED}")
        assert json.loads(delivery.event.data)["status"] == "CANCELLED"


@pytest.mark.anyio
async def test_callback_of_a_direct_upload_is_checked_at_declaration(tmp_path: Path) -> None:
    gate = make_gate(tmp_path, callbacks=Callbacks([SECRET], hosts=["hooks.example"]))
    declared = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": 9}
    async with gate, httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url=BASE) as client:
        refused = await client.post("/uploads", json=declared | {"callbackUrl": "https://other.example/"})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_parameter")
        assert refused.json()["detail"] == f"callbackUrl: {NOT_ALLOWED}"
        about: dict[str, Any] = {"source_type": "avatar", "source_id": "u1", "content_type": "image/jpeg", "size": 9}
        with pytest.raises(InvalidParameter, match="the host is not allowed for callbacks"):
            await gate.create_upload(**about, callback_url="https://other.example/")
        taken = await client.post("/uploads", json=declared | {"callbackUrl": "https://hooks.example/"})
        assert taken.status_code == 201, taken.text
        await gate.create_upload(**about)


@pytest.mark.anyio
async def test_callback_to_a_slow_host_delays_only_that_host(
    tmp_path: Path,
    photo: bytes,
    names: Names,
    authority: trustme.CA,
    serve_tls: Callable[..., Receiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mediagate_plugins.webhooks.sender.BATCH", 10)  # the deliveries to the slow host exceed a batch
    slow, quick = serve_tls("slow.example", hang), serve_tls("quick.example")
    names.answers |= {"slow.example": [["127.0.0.1"]], "quick.example": [["127.0.0.1"]]}
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    options: dict[str, Any] = {
        "callbacks": Callbacks([SECRET], private_networks=["127.0.0.1/32"]), "ca_file": ca_file, "timeout_s": 60,
    }  # fmt: skip
    async with make_gate(tmp_path, **options) as gate:
        for n in range(40):
            # Different spellings of one host.
            host = ("slow.example", "SLOW.example", "slow.example.")[n % 3]
            await an_event(gate, photo, callback_url=f"https://{host}:{slow.port}/{n}")
        await an_event(gate, photo, callback_url=f"https://quick.example:{quick.port}/")
    async with make_gate(tmp_path, worker=True, **options) as gate:
        await asyncio.to_thread(quick.wait_for, 1, 30)
        await asyncio.to_thread(slow.wait_for, 4)
        assert len(slow.received) == 4
        found = await gate[WEBHOOKS].find()
        assert {d.endpoint for d in found} == {"callback:slow.example", "callback:quick.example"}


@pytest.mark.anyio
async def test_callback_names_that_hang_in_dns_delay_no_endpoint(tmp_path: Path, photo: bytes, names: Names) -> None:
    hosts = [f"host{n}.example" for n in range(THREADS)]
    names.answers |= {host: [["127.0.0.1"]] for host in hosts} | {"app.example": [["127.0.0.1"]]}
    names.hung |= set(hosts)
    with receiving() as receiver:
        url = f"http://app.example:{receiver.port}/"
        endpoint = Endpoint(url, [OTHER], events=["job.failed"], insecure_http=True, private_networks=["127.0.0.1/32"])
        async with make_gate(tmp_path, endpoints={"app": endpoint}, callbacks=Callbacks([SECRET])) as gate:
            for host in hosts:
                await an_event(gate, photo, callback_url=f"https://{host}/")
            stuck = asyncio.create_task(gate[WEBHOOKS].deliver_due())
            await until(lambda: len(names.asked) >= THREADS, timeout_s=30)
            job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
            now = utcnow()
            assert await gate.parts.records.claim(job_id, owner="w", now=now, lease_until=now)
            assert (await gate.runtime.janitor.sweep_jobs()).failed == [job_id]
            async with asyncio.timeout(10):
                assert await gate[WEBHOOKS].deliver_due() == 1
            assert len(receiver.received) == 1
            names.over.set()
            await stuck


@pytest.mark.anyio
async def test_resolver_spends_one_thread_on_a_name_that_hangs(names: Names) -> None:
    names.answers |= {"hung.example": [["127.0.0.1"]], "good.example": [["127.0.0.2"]]}
    names.hung.add("hung.example")
    resolver = Resolver()
    try:
        waiting = [asyncio.create_task(resolver.addresses("hung.example")) for _ in range(3 * THREADS)]
        async with asyncio.timeout(30):
            assert await resolver.addresses("good.example") == ["127.0.0.2"]
        waiting.pop().cancel()
        names.over.set()
        assert await asyncio.gather(*waiting) == [["127.0.0.1"]] * len(waiting), "the others still wait"
        assert names.asked.count("hung.example") == 1
    finally:
        resolver.close()
