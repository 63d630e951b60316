"""The service is killed (kill -9) while an event is recorded and sent; and ``mediagate webhooks``."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.support import receiver as behave
from tests.support.command import mediagate, output_of
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.server import FAST, Server

GATE = "webhook_gate:gate"
PATIENT = FAST | {"MEDIAGATE_MAX_ATTEMPTS": "9"}
"""Attempts to spare: a busy machine may miss a heartbeat, which costs one."""


@pytest.mark.parametrize(
    "point",
    [
        "records.settle:before",
        "records.settle:after",
        "records.passed_on:before",
        "records.passed_on:after",
        "records.mark_notified:before",
    ],
)
def test_webhook_is_sent_after_a_crash_between_job_end_and_delivery(point: str, tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        service = Server(GATE, tmp_path / "data", **PATIENT, WEBHOOK_URL=receiver.url)
        try:
            service.start(CRASH_AT=point)
            with contextlib.suppress(httpx.TransportError):  # it may die before it answers
                service.upload("a.jpg", photo)
            service.wait_dead()
            assert service.process is not None
            assert service.process.returncode == -9
            service.start()
            job_id = json.loads(receiver.wait_for(1)[0].body)["data"]["jobId"]
            assert service.settled(job_id).status_code == 200
            service.stop()
        finally:
            if service.process is not None and service.process.poll() is None:
                service.stop()
        assert len({one.id for one in receiver.received}) == 1, "at least once, and always under one id"
        body = Webhook(SECRET).verify(receiver.received[-1].body, receiver.received[-1].headers)
        assert (body["type"], body["data"]["jobId"]) == ("job.completed", job_id)


@dataclass(frozen=True)
class Resent:
    """A delivery that a crash cut off and the next start sent again; the service is stopped."""

    data_dir: Path
    receiver: Receiver
    event_id: str
    """Id of the first request that arrived."""


def serving(data_dir: Path, receiver: Receiver) -> Server:
    return Server(GATE, data_dir, WEBHOOK_URL=receiver.url, MEDIAGATE_IMAGE_PROCESSES="1")


@pytest.fixture(scope="module")
def resent(tmp_path_factory: pytest.TempPathFactory, photo: bytes) -> Iterator[Resent]:
    data_dir = tmp_path_factory.mktemp("resent") / "data"
    with receiving(behave.hang, behave.answer(204)) as receiver:
        service = serving(data_dir, receiver)
        try:
            service.start()
            service.upload("a.jpg", photo)
            [first] = receiver.wait_for(1)
            assert json.loads(first.body)["type"] == "job.completed", service.log.read_text()[-3000:]
            service.kill()
            # Let the claim of the killed process expire.
            change(data_dir, '"dueAt" = (SELECT "createdAt" FROM mediagate_job)')
            service.start()
            receiver.wait_for(2)
            service.stop()
        finally:
            if service.process is not None and service.process.poll() is None:
                service.stop()
        yield Resent(data_dir, receiver, first.id)


class Webhooks:
    """``mediagate webhooks`` on a data folder."""

    def __init__(self, data_dir: Path, url: str) -> None:
        self.data_dir = data_dir
        self._url = url

    def __call__(self, *words: str) -> str:
        return output_of("webhooks", *words, data_dir=self.data_dir, WEBHOOK_URL=self._url)


@pytest.fixture
def webhooks(resent: Resent, tmp_path: Path) -> Webhooks:
    """The command line on a copy of the data, which a test may change."""
    return Webhooks(shutil.copytree(resent.data_dir, tmp_path / "data"), resent.receiver.url)


def change(data_dir: Path, assignment: str, *values: str) -> None:
    """Change all deliveries in the database of a stopped service."""
    with closing(sqlite3.connect(data_dir / "mediagate.db")) as database, database:
        database.execute(f"UPDATE mediagate_webhook_delivery SET {assignment}", values)


def test_webhook_cut_off_by_a_crash_is_sent_again_under_the_same_id(resent: Resent) -> None:
    assert {request.id for request in resent.receiver.received} == {resent.event_id}


def test_webhooks_list_shows_a_delivered_event(resent: Resent, webhooks: Webhooks) -> None:
    assert f"{resent.event_id}  job.completed" in webhooks("list", GATE, "--status", "delivered")


def test_webhooks_replay_of_dead_deliveries_skips_delivered_ones(webhooks: Webhooks) -> None:
    assert "0 deliveries" in webhooks("replay", GATE, "--dead")


def test_webhooks_resume_reports_an_endpoint_that_was_not_stopped(webhooks: Webhooks) -> None:
    assert "app was not stopped" in webhooks("resume", "app", GATE)


def test_webhooks_replay_leaves_out_removed_endpoints(resent: Resent, webhooks: Webhooks) -> None:
    change(webhooks.data_dir, '"endpoint" = ?', "old")
    said = webhooks("replay", GATE, "--event", resent.event_id)
    assert "0 deliveries will be sent again\n1 skipped: endpoint no longer configured" in said


def test_webhooks_replay_sends_an_event_again_under_the_same_id(resent: Resent, webhooks: Webhooks) -> None:
    since = webhooks("replay", GATE, "--event", resent.event_id, "--since", "2020-01-01")
    assert "1 deliveries" in since
    assert "1 deliveries will be sent again" in webhooks("replay", GATE, "--event", resent.event_id)
    before = len(resent.receiver.received)
    service = serving(webhooks.data_dir, resent.receiver)
    try:
        service.start()
        assert resent.receiver.wait_for(before + 1)[-1].id == resent.event_id
    finally:
        service.stop()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay", GATE), "select the events to send again"),
        (("replay", GATE, "--since", "yesterday"), "2026-01-31T12:00Z"),
        (("resume", "nobody", GATE), "not found; use one of: app"),
        (("list", "plain_gate:gate"), "the gate has no webhooks"),
    ],
    ids=["replay of nothing", "unreadable time", "unknown endpoint", "gate without webhooks"],
)
def test_webhooks_commands_reject_invalid_arguments(resent: Resent, words: tuple[str, ...], said: str) -> None:
    done = mediagate("webhooks", *words, data_dir=resent.data_dir, WEBHOOK_URL="http://127.0.0.1:1/")
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr


def test_doctor_checks_webhook_endpoints(tmp_path: Path) -> None:
    good = mediagate("doctor", GATE, data_dir=tmp_path, WEBHOOK_URL="http://127.0.0.1:1/")
    assert re.search("^ok +webhooks +1 endpoints", good.stdout, re.MULTILINE), good.stdout + good.stderr
    bad = mediagate("doctor", GATE, data_dir=tmp_path, WEBHOOK_URL="http://10.0.0.1:1/")
    assert bad.returncode == 1
    assert re.search("^FAIL +webhooks", bad.stdout, re.MULTILINE), bad.stdout
    assert "not public; to allow it, add its network to private_networks" in bad.stdout
