"""Authorization: every route authorizes its caller, and other owners' data is invisible."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from mediagate import AUTHORIZE, Action, MediaGate, Principal, Settings, Source, plugin
from mediagate.errors import ConfigError, InvalidParameter, JobConflict, JobNotFound, MediaNotFound, RateLimited
from mediagate.records import Settlement
from mediagate.testing.record_samples import a_media
from mediagate.values import JobStatus, new_id
from tests.support.mounted import client_of
from tests.support.owners import FORM, as_user, by_header, claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
NOBODY = "job_aaaaaaaaaaaaaaaaaaaaaaaaaa"
ASKING = [
    ("POST", "/upload"),
    ("GET", f"/status/{NOBODY}"),
    ("GET", f"/status/{NOBODY}?wait=1"),
    ("GET", "/media?sourceType=avatar"),
    ("GET", "/media/med_x"),
    ("DELETE", "/media/med_x"),
    ("GET", "/jobs"),
    ("DELETE", f"/jobs/{NOBODY}"),
    ("POST", f"/jobs/{NOBODY}/cancel"),
    ("POST", f"/jobs/{NOBODY}/retry"),
    ("GET", "/usage"),
    ("GET", "/of-a-plugin"),
]


@pytest.fixture
def guarded(make_gate: MakeGate) -> Callable[..., MediaGate]:
    """Return a factory of gates that authorize callers by a header."""

    def make(**settings: object) -> MediaGate:
        gate = make_gate(**settings)
        gate.decorate(AUTHORIZE, by_header)
        return gate

    return make


@plugin("of_a_plugin")
async def of_a_plugin(gate: MediaGate) -> None:
    async def endpoint(request: Request) -> Response:
        principal = await gate.authorize(request, Action.ADMIN)
        return JSONResponse({"who": principal and principal.id, "same": request.state.principal == principal})

    gate.add_route("/of-a-plugin", endpoint, methods=["GET"])


async def upload(client: httpx.AsyncClient, photo: bytes, user: str, **headers: str) -> httpx.Response:
    return await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)}, headers=as_user(user, **headers))


def alike(one: httpx.Response, other: httpx.Response, *ids: str) -> None:
    """Check that two answers are equal except for the requested ids."""
    assert one.status_code == other.status_code
    texts = [answer.text for answer in (one, other)]
    for name in ids:
        texts = [text.replace(name, "…") for text in texts]
    assert texts[0] == texts[1]
    varying = {"content-length", "date"}
    assert {k: v for k, v in one.headers.items() if k not in varying} == {
        k: v for k, v in other.headers.items() if k not in varying
    }


@pytest.mark.parametrize(("method", "path"), ASKING)
async def test_route_answers_401_unauthenticated_and_403_without_permission(
    guarded: MakeGate, photo: bytes, method: str, path: str
) -> None:
    gate = guarded(worker=False)
    gate.register(of_a_plugin)
    async with client_of(gate) as client:
        body: dict[str, Any] = {"data": FORM, "files": {"file": ("a.jpg", photo)}} if method == "POST" else {}
        for headers in ({}, as_user("mallory")):
            answer = await client.request(method, path, headers=headers, **body)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mediagate"'
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
            assert (answer.json()["code"], answer.json()["status"]) == ("unauthorized", 401)
        if method != "GET" or path == "/of-a-plugin":
            answer = await client.request(method, path, headers=as_user("reader"), **body)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert "WWW-Authenticate" not in answer.headers
        assert (await gate.list_jobs()).items == ()


async def test_health_and_published_files_need_no_authentication(guarded: MakeGate, photo: bytes) -> None:
    async with client_of(guarded()) as client:
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200
        sent = await upload(client, photo, "ann")
        done = await client.get(f"http://test{sent.headers['Location']}?wait=60", headers=as_user("ann"))
        assert done.json()["status"] == "COMPLETE", done.text
        assert (await client.get(f"http://test{done.json()['media']['urls']['xs']}")).status_code == 200


async def test_unauthenticated_upload_is_refused_before_its_body_is_read(guarded: MakeGate) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        assert sum(len(message.get("body", b"")) for message in sent), "the body was read before the answer was out"
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"999")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/upload", "query_string": b""}
    async with guarded(worker=False) as gate:
        await gate({**scope, "root_path": "", "headers": headers}, receive, send)
    assert sent[0]["status"] == 401


async def test_gate_authorize_returns_principal_to_plugin_route(guarded: MakeGate, make_gate: MakeGate) -> None:
    gate = guarded(worker=False)
    gate.register(of_a_plugin)
    async with client_of(gate) as client:
        answer = await client.get("/of-a-plugin", headers=as_user("root"))
        assert answer.json() == {"who": "root", "same": True}
        # ``authorize`` accepts ann for any action but does not return an admin.
        answer = await client.get("/of-a-plugin", headers=as_user("ann"))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    open_to_all = make_gate(worker=False)
    open_to_all.register(of_a_plugin)
    async with client_of(open_to_all) as client:
        assert (await client.get("/of-a-plugin")).json() == {"who": None, "same": True}


async def test_authorization_hooks_get_the_action_and_pre_authorize_can_refuse(guarded: MakeGate) -> None:
    told: list[tuple[str, str, Action]] = []
    refuse = False

    async def pre_authorize(request: Request, action: Action) -> None:
        told.append(("pre_authorize", request.url.path, action))
        if refuse:
            raise RateLimited("not now", retry_after_s=1)

    async def on_unauthorized(request: Request, action: Action) -> None:
        told.append(("on_unauthorized", request.url.path, action))
        raise RuntimeError("which is logged, and changes nothing")

    gate = guarded(worker=False)
    gate.add_hook("pre_authorize", pre_authorize)
    gate.add_hook("on_unauthorized", on_unauthorized)
    async with client_of(gate) as client:
        path = "/image-pipeline/media/med_x"
        before, after = (("pre_authorize", path, Action.DELETE), ("on_unauthorized", path, Action.DELETE))
        for user, status, wanted in (
            ("mallory", 401, [before, after]), ("reader", 403, [before]), ("ann", 404, [before]),
        ):  # fmt: skip
            told.clear()
            assert (await client.delete("/media/med_x", headers=as_user(user))).status_code == status
            assert told == wanted
        refuse = True
        told.clear()
        assert (await client.delete("/media/med_x", headers=as_user("ann"))).status_code == 429
        assert told == [before]
        told.clear()
        assert (await client.get("/healthz")).status_code == 200
        assert told == []


async def test_other_owners_jobs_and_media_answer_404_like_unknown_ids(guarded: MakeGate, photo: bytes) -> None:
    gate = guarded()
    async with client_of(gate) as client:
        job_id = (await upload(client, photo, "ann")).json()["jobId"]
        mine = await client.get(f"/status/{job_id}?wait=60", headers=as_user("ann"))
        assert mine.json()["status"] == "COMPLETE"
        media_id = mine.json()["media"]["id"]

        stream = {"Accept": "text/event-stream"}
        for how, headers in (("", {}), ("?wait=0.2", {}), ("?http=200", {}), ("", stream)):
            theirs = await client.get(f"/status/{job_id}{how}", headers=as_user("bob", **headers))
            unknown = await client.get(f"/status/{NOBODY}{how}", headers=as_user("bob", **headers))
            assert theirs.status_code == 404
            alike(theirs, unknown, job_id, NOBODY)
        etag = mine.headers["ETag"]
        asked = await client.get(f"/status/{job_id}", headers=as_user("bob", **{"If-None-Match": etag}))
        assert asked.status_code == 404

        other_id = new_id("med")
        for method in ("GET", "DELETE"):
            theirs = await client.request(method, f"/media/{media_id}", headers=as_user("bob"))
            unknown = await client.request(method, f"/media/{other_id}", headers=as_user("bob"))
            assert theirs.status_code == 404
            alike(theirs, unknown, media_id, other_id)
        lists = (
            "/media?sourceType=avatar",
            "/media?sourceType=avatar&sourceId=user-1",
            "/jobs",
            "/jobs?status=COMPLETE",
        )
        for path in lists:
            assert len((await client.get(path, headers=as_user("ann"))).json()["items"]) == 1
            assert (await client.get(path, headers=as_user("bob"))).json() == {"items": [], "nextCursor": None}

        assert (await client.get(f"/media/{media_id}", headers=as_user("ann"))).json()["id"] == media_id
        for _ in range(2):
            assert (await client.delete(f"/media/{media_id}", headers=as_user("ann"))).status_code == 204
        gone = await client.delete(f"/media/{media_id}", headers=as_user("bob"))
        assert gone.status_code == 404
        alike(gone, await client.delete(f"/media/{other_id}", headers=as_user("bob")), media_id, other_id)
        assert (await client.get(f"/status/{job_id}", headers=as_user("ann"))).status_code == 410
        assert (await client.get(f"/status/{job_id}", headers=as_user("bob"))).status_code == 404
        [listed] = (await client.get("/jobs", headers=as_user("ann"))).json()["items"]
        assert (listed["jobId"], listed["status"], listed["media"]) == (job_id, "COMPLETE", None)


async def test_long_poll_and_stream_of_other_owners_job_answer_404_at_once(guarded: MakeGate, photo: bytes) -> None:
    gate = guarded(worker=False)
    async with client_of(gate) as client:
        job = (await gate.upload(photo, source_type="avatar", source_id="u", owner="ann")).job
        waiting = asyncio.create_task(client.get(f"/status/{job.id}?wait=60", headers=as_user("ann")))
        stream = as_user("bob", Accept="text/event-stream")
        # The job does not end before these are answered: none of them may wait for it.
        answers = await asyncio.gather(
            client.get(f"/status/{job.id}?wait=60", headers=as_user("bob")),
            client.get(f"/status/{job.id}", headers=stream),
            client.get(f"/status/{NOBODY}?wait=60", headers=as_user("bob")),
        )
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        alike(answers[0], answers[2], job.id, NOBODY)
        assert not waiting.done()
        await claim(gate, job)
        await settle(gate, job, Settlement(JobStatus.COMPLETE, a_media(job)))
        assert (await waiting).json()["status"] == "COMPLETE"
        for headers in (as_user("bob"), stream):
            assert (await client.get(f"/status/{job.id}?wait=60", headers=headers)).status_code == 404


async def test_event_stream_ends_when_authorization_is_revoked(make_gate: MakeGate, photo: bytes) -> None:
    may_read = True

    async def for_a_while(request: Request, action: Action) -> Principal | None:
        return Principal("ann") if may_read else None

    gate = make_gate(worker=False)
    gate.decorate(AUTHORIZE, for_a_while)
    async with gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u", owner="ann")).job
        events: list[str] = []
        first = asyncio.Event()

        async def send(message: Message) -> None:
            if message.get("body"):
                events.append(message["body"].decode())
                first.set()

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        headers = [(b"accept", b"text/event-stream"), (b"accept-language", b"fr")]
        path = f"/status/{job.id}"
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
        stream = asyncio.create_task(gate(scope, receive, send))
        await first.wait()
        may_read = False
        await claim(gate, job)
        await settle(gate, job, Settlement(JobStatus.COMPLETE, a_media(job)))
        await stream
        assert [event.partition("\n")[0] for event in events] == ["event: status", "event: error"]
        assert '"status":"PENDING"' in events[0]
        error = json.loads(events[1].partition("data: ")[2])
        assert (error["code"], error["message"]) == ("unauthorized", "Veuillez d’abord vous connecter.")


async def test_admin_reads_and_deletes_jobs_and_media_of_all_owners(guarded: MakeGate, photo: bytes) -> None:
    gate = guarded()
    async with client_of(gate) as client:
        ids = {(await upload(client, photo, user)).json()["jobId"] for user in ("ann", "bob", "root")}
        for job_id in ids:
            done = await client.get(f"/status/{job_id}?wait=60", headers=as_user("root"))
            assert done.json()["status"] == "COMPLETE", done.text
        nobodys = await gate.upload(photo, source_type="avatar", source_id="of-before")
        assert (await client.get(f"/status/{nobodys.job_id}", headers=as_user("ann"))).status_code == 404
        assert (await client.get(f"/status/{nobodys.job_id}?wait=60", headers=as_user("root"))).status_code == 200
        jobs = (await client.get("/jobs", headers=as_user("root"))).json()["items"]
        assert {job["jobId"] for job in jobs} == ids | {nobodys.job_id}
        media = (await client.get("/media?sourceType=avatar", headers=as_user("root"))).json()["items"]
        assert len(media) == 4
        for one in media:
            assert (await client.delete(f"/media/{one['id']}", headers=as_user("root"))).status_code == 204


async def test_idempotency_keys_are_scoped_to_their_owner(guarded: MakeGate, photo: bytes, data: Path) -> None:
    other_photo = (data / "formats" / "hopper.webp").read_bytes()
    async with client_of(guarded(worker=False)) as client:
        key = {"Idempotency-Key": "same"}
        first = await upload(client, photo, "ann", **key)
        again = await upload(client, photo, "ann", **key)
        assert first.json()["jobId"] == again.json()["jobId"]
        theirs = await upload(client, other_photo, "bob", **key)
        assert theirs.status_code == 202
        assert theirs.json()["jobId"] != first.json()["jobId"]
        assert (await upload(client, photo, "bob", **key)).json()["code"] == "idempotency_key_reused"


async def test_job_list_is_newest_first_filtered_and_paged(guarded: MakeGate, photo: bytes) -> None:
    gate = guarded(worker=False)
    async with client_of(gate) as client:
        made = []
        for n in range(5):
            source = "post" if n == 3 else "avatar"
            made.append((await gate.upload(photo, source_type=source, source_id=f"u{n % 2}", owner="ann")).job)
        await gate.cancel(made[0].id, owner="ann")

        async def listed(query: str) -> list[str]:
            answer = await client.get(f"/jobs{query}", headers=as_user("ann"))
            assert answer.status_code == 200, answer.text
            assert answer.headers["Cache-Control"] == "no-store"
            return [job["jobId"] for job in answer.json()["items"]]

        newest = [job.id for job in sorted(made, key=lambda job: (job.created_at, job.id), reverse=True)]
        assert await listed("") == newest
        assert await listed("?status=CANCELLED") == [made[0].id]
        assert await listed("?sourceType=post") == [made[3].id]
        assert await listed("?sourceId=u1") == [job_id for job_id in newest if job_id in (made[1].id, made[3].id)]
        seen, cursor = [], ""
        while True:
            page = (await client.get(f"/jobs?limit=2{cursor}", headers=as_user("ann"))).json()
            seen += [job["jobId"] for job in page["items"]]
            if page["nextCursor"] is None:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert seen == newest
        for bad in ("?status=DONE", "?status=", "?limit=0", "?limit=101", "?cursor=x", "?limit=x"):
            answer = await client.get(f"/jobs{bad}", headers=as_user("ann"))
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
            assert answer.json()["detail"].startswith(bad[1:].partition("=")[0])


async def test_python_calls_treat_other_owners_data_as_missing(make_gate: MakeGate, photo: bytes) -> None:
    async with make_gate(worker=False) as gate:
        job = (await gate.upload(photo, source_type="avatar", source_id="u", owner="ann")).job
        assert job.owner_id == "ann"
        for call in (gate.get_status, gate.cancel, gate.retry, gate.delete_job):
            with pytest.raises(JobNotFound):
                await call(job.id, owner="bob")
        with pytest.raises(JobNotFound):
            await gate.wait(job.id, owner="bob", timeout_s=5)
        assert (await gate.get_status(job.id)).status is JobStatus.PENDING
        await claim(gate, job)
        media = a_media(job)
        await settle(gate, job, Settlement(JobStatus.COMPLETE, media))
        with pytest.raises(MediaNotFound):
            await gate.get_media(media.id, owner="bob")
        with pytest.raises(MediaNotFound):
            await gate.delete_media(media.id, owner="bob")
        assert (await gate.list_media("avatar", owner="bob")).items == ()
        assert (await gate.list_jobs(owner="bob")).items == ()
        assert (await gate.get_media(media.id, owner="ann")).record.owner_id == "ann"
        with pytest.raises(JobConflict):
            await gate.cancel(job.id, owner="ann")
        await gate.delete_media(media.id, owner="ann")
        for owner in ("", "x" * 256, "a\nb", "\x00"):
            with pytest.raises(InvalidParameter, match="owner"):
                await gate.upload(photo, source_type="avatar", source_id="u", owner=owner)


async def test_upload_without_authorize_has_no_owner(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        sent = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        job_id = sent.json()["jobId"]
        assert (await gate.get_status(job_id)).job.owner_id is None
        assert (await client.get("/jobs")).json()["items"][0]["jobId"] == job_id
        with pytest.raises(JobNotFound):
            await gate.get_status(job_id, owner="ann")


async def test_authorize_that_raises_or_returns_nonsense_answers_500(make_gate: MakeGate) -> None:
    async def breaks(request: Request, action: Action) -> Principal | None:
        raise RuntimeError("hush: a secret of the host")

    async def returns_nonsense(request: Request, action: Action) -> Any:
        return True

    async def names_nobody(request: Request, action: Action) -> Principal | None:
        return Principal("")

    for authorize in (breaks, returns_nonsense, names_nobody):
        gate = make_gate(worker=False)
        gate.decorate(AUTHORIZE, authorize)
        async with client_of(gate) as client:
            answer = await client.get("/jobs")
            assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
            assert "hush" not in answer.text


async def test_authorize_argument_and_decoration_together_are_a_config_error(tmp_path: Path) -> None:
    @plugin("doors")
    async def doors(gate: MediaGate) -> None:
        gate.decorate(AUTHORIZE, by_header)

    def make() -> MediaGate:
        return MediaGate(
            sources={"avatar": Source()},
            settings=Settings(data_dir=tmp_path, worker=False),
            moderation="off",
            authorize=by_header,
        )

    gate = make()
    async with client_of(gate) as client:
        assert (await client.get("/jobs")).status_code == 401
        assert (await client.get("/jobs", headers=as_user("ann"))).status_code == 200
    gate = make()
    gate.register(doors)
    with pytest.raises(ConfigError, match="keep one of the two"):
        await gate.open()
