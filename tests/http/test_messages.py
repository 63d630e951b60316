"""Messages for people: language, units and the texts of a source."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagate import FormHints, JobStatus, MediaGate, Source, form_hints
from mediagate.config import Language
from mediagate.errors import ConfigError, UploadRefused
from mediagate.records import Settlement
from mediagate.values import Verdict
from tests.support.mounted import client_of
from tests.support.owners import claim, settle

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
FORM = {"sourceType": "avatar", "sourceId": "u1"}
REASON = "Content moderation failed"
REJECTED = Settlement(JobStatus.REJECTED, reason=REASON, code="moderation_rejected", verdict=Verdict("reject"))
NOT_ALLOWED = {
    "": "This picture is not allowed here.",
    "en-GB, de": "This picture is not allowed here.",
    "de-CH, en;q=0.5": "Dieses Bild ist hier nicht erlaubt.",
    "pt, es-MX;q=0.8, en;q=0.5": "Esta imagen no está permitida aquí.",
    "en;q=0.1, fr": "Cette image n’est pas autorisée ici.",
    "ja": "この画像はここでは使用できません。",
    "nl, *": "This picture is not allowed here.",
    "de;q=0, fr;q=0.1": "Cette image n’est pas autorisée ici.",
    ";;q=,": "This picture is not allowed here.",
}


async def ended(gate: MediaGate, photo: bytes, end: Settlement, source_type: str = "avatar") -> str:
    job = (await gate.upload(photo, source_type=source_type, source_id="u1")).job
    await claim(gate, job)
    await settle(gate, job, end)
    return job.id


async def test_rejection_message_follows_accept_language(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await ended(gate, photo, REJECTED)
        for asked, message in NOT_ALLOWED.items():
            headers = {"Accept-Language": asked}
            body = (await client.get(f"/status/{job}", headers=headers)).json()
            assert (body["message"], body["reason"]) == (message, REASON), asked
            [listed] = (await client.get("/jobs", headers=headers)).json()["items"]
            assert listed["message"] == message
            stream = await client.get(f"/status/{job}", headers={**headers, "Accept": "text/event-stream"})
            assert json.dumps(message) in stream.text


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (("image_undecodable", False), "Dieses Bild ist beschädigt oder unvollständig. Bitte wählen Sie ein anderes."),
        (
            ("storage_unavailable", True),
            "Das funktioniert im Moment nicht. Bitte versuchen Sie es in Kürze noch einmal.",
        ),
        (("staged_file_lost", False), "Dieses Bild konnte nicht verarbeitet werden. Bitte wählen Sie ein anderes."),
    ],
    ids=["undecodable", "retryable", "not retryable"],
)
async def test_failure_message_says_whether_to_retry(
    make_gate: MakeGate, photo: bytes, end: tuple[str, bool], message: str
) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        code, retryable = end
        job = await ended(gate, photo, Settlement(JobStatus.FAILED, error="x", code=code, retryable=retryable))
        body = (await client.get(f"/status/{job}", headers={"Accept-Language": "de"})).json()
        assert (body["message"], body["error"]) == (message, "x")


async def test_cancelled_job_has_a_message(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        await gate.cancel(job.job_id)
        for language, message in (("", "This upload was cancelled."), ("fr", "Cet envoi a été annulé.")):
            answer = await client.get(f"/status/{job.job_id}", headers={"Accept-Language": language})
            assert (answer.status_code, answer.json()["message"]) == (410, message)


async def test_upload_too_large_message_states_the_limit_in_megabytes(make_gate: MakeGate) -> None:
    sizes = {"a": (20 * 2**20, "20 Mo"), "b": (2**20 + 2**19, "1,5 Mo"), "c": (512_000, "0,488 Mo")}
    gate = make_gate(worker=False, sources={name: Source(max_bytes=size) for name, (size, _) in sizes.items()})
    async with client_of(gate) as client:
        for name, (size, told) in sizes.items():
            declared = {"sourceType": name, "sourceId": "u", "size": size + 1}
            answer = await client.post("/uploads", json=declared, headers={"Accept-Language": "fr"})
            assert answer.status_code == 413
            assert answer.json()["message"] == f"Ce fichier est trop volumineux. Il peut avoir au plus {told}."
        form = {"sourceType": "c", "sourceId": "u"}
        body = b"\xff\xd8\xff" + bytes(600_000)
        answer = await client.post("/upload", data=form, files={"file": ("a.jpg", body)})
        assert answer.json()["message"] == "This file is too large. The limit is 0.488 MB."


async def test_upload_too_large_detail_names_the_only_source(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False, sources={"avatar": Source(max_bytes=1000)})
    async with client_of(gate) as client:
        answer = await client.post("/upload", data=FORM, files={"file": ("a.jpg", bytes(900_000))})
        assert "the limit of avatar" in answer.json()["detail"]


async def test_source_messages_override_the_defaults(make_gate: MakeGate, photo: bytes) -> None:
    own: dict[str, str | dict[Language, str]] = {
        "moderation_rejected": {"en": "Keep it clean.", "de": "Bitte jugendfrei."},
        "upload_too_large": "Höchstens {limit}!",
        "unsupported_type": {"ja": "だめ"},
    }
    gate = make_gate(worker=False, sources={"avatar": Source(messages=own, max_bytes=2**21), "post": Source()})
    async with client_of(gate) as client:
        ids = {name: await ended(gate, photo, REJECTED, name) for name in ("avatar", "post")}
        for language, message in (("de", "Bitte jugendfrei."), ("fr", "Keep it clean.")):
            told = await client.get(f"/status/{ids['avatar']}", headers={"Accept-Language": language})
            assert told.json()["message"] == message
        assert (await client.get(f"/status/{ids['post']}")).json()["message"] == NOT_ALLOWED[""]

        jpeg = b"\xff\xd8\xff" + bytes(3 * 2**20)
        large = await client.post("/upload", data=FORM, files={"file": ("a.jpg", jpeg)})
        assert large.json()["message"] == "Höchstens 2 MB!"
        for language, message in (("ja", "だめ"), ("en", "This file is not in a supported picture format.")):
            headers = {"Accept-Language": language}
            text = await client.post("/upload", data=FORM, files={"file": ("a", b"x" * 99)}, headers=headers)
            assert text.json()["message"].startswith(message)


async def test_upload_refused_message_is_that_of_the_hook(make_gate: MakeGate, photo: bytes) -> None:
    async def no(upload: object) -> None:
        raise UploadRefused("Verify your e-mail address first.")

    gate = make_gate(worker=False)
    gate.add_hook("pre_upload", no)
    async with client_of(gate) as client:
        answer = await client.post("/upload", data=FORM, files={"file": ("a.jpg", photo)})
        assert answer.json()["message"] == "Verify your e-mail address first."


async def test_problem_always_has_a_localized_message(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False)
    async with client_of(gate) as client:
        for path, message in (
            ("/status/job_x", "うまくいきませんでした。"),
            ("/status/job_x?wait=x", "うまくいきませんでした。"),
        ):
            assert (await client.get(path, headers={"Accept-Language": "ja"})).json()["message"] == message
        odd = await client.post("/uploads", json={"sourceType": ["avatar"], "sourceId": "u", "size": 1})
        assert (odd.status_code, odd.json()["message"]) == (400, "Something went wrong.")
        gate.begin_closing()
        closing = await client.post("/upload", headers={"Accept-Language": "es"})
        assert closing.json()["message"].startswith("Esto no funciona en este momento")


def test_source_messages_in_an_unknown_language_are_a_config_error() -> None:
    unknown: Any = {"unsupported_type": {"xx": "no"}}
    with pytest.raises(ConfigError, match="messages"):
        Source(messages=unknown)


def test_form_hints_are_localized_and_list_formats() -> None:
    hints = form_hints(Source(max_bytes=3 * 512 * 1024, formats=("png", "avif")), "de")
    assert hints == FormHints(
        3 * 512 * 1024,
        "1,5 MB",
        "Diese Datei ist zu groß. Sie darf höchstens 1,5 MB haben.",
        ("PNG", "AVIF"),
        "image/png,image/avif,image/x-png,image/apng,.avif",
    )
