"""kill -9 of the whole service around the moment when an event is written and sent, and the command line."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook
from webhook_gate import SECRET

from tests.e2e.test_cli import mediagate
from tests.e2e.test_crashes import FAST
from tests.support import receiver as behave
from tests.support.receiver import receiving
from tests.support.server import Server

GATE = "webhook_gate:gate"
PATIENT = FAST | {"MEDIAGATE_MAX_ATTEMPTS": "9"}
"""A busy machine that misses a heartbeat shall not end the job otherwise."""


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
def test_a_crash_between_the_end_of_a_job_and_its_webhook(point: str, tmp_path: Path, photo: bytes) -> None:
    with receiving() as receiver:
        service = Server(GATE, tmp_path / "data", **PATIENT, WEBHOOK_URL=receiver.url)
        try:
            service.start(CRASH_AT=point)
            with contextlib.suppress(httpx.TransportError):  # it may die before it has answered
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


def test_a_crash_while_it_is_sent_sends_it_again_under_the_same_id(tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    with receiving(behave.hang, behave.answer(204)) as receiver:
        service = Server(GATE, data_dir, WEBHOOK_URL=receiver.url, MEDIAGATE_IMAGE_PROCESSES="1")
        try:
            service.start()
            service.upload("a.jpg", photo)
            assert json.loads(receiver.wait_for(1)[0].body)["type"] == "job.completed", service.log.read_text()[-3000:]
            service.kill()
            # The claim of the dead process has run out once its time has come.
            with closing(sqlite3.connect(data_dir / "mediagate.db")) as database, database:
                database.execute(
                    'UPDATE mediagate_webhook_delivery SET "dueAt" = (SELECT "createdAt" FROM mediagate_job)'
                )
            service.start()
            receiver.wait_for(2)
            service.stop()
        finally:
            if service.process is not None and service.process.poll() is None:
                service.stop()
        assert len({one.id for one in receiver.received}) == 1

        def webhooks(*words: str) -> str:
            done = mediagate("webhooks", *words, data_dir=data_dir, WEBHOOK_URL=receiver.url)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        event_id = receiver.received[0].id
        assert f"{event_id}  job.completed" in webhooks("list", GATE, "--status", "delivered")
        assert "0 deliveries" in webhooks("replay", GATE, "--dead")
        assert "1 deliveries" in webhooks("replay", GATE, "--event", event_id, "--since", "2020-01-01")
        assert "app was not stopped" in webhooks("resume", "app", GATE)
        left_out = "0 deliveries will be sent again\n1 skipped: endpoint no longer configured"
        for name, said in (("old", left_out), ("app", "1 deliveries will be sent again")):
            with closing(sqlite3.connect(data_dir / "mediagate.db")) as database, database:
                database.execute('UPDATE mediagate_webhook_delivery SET "endpoint" = ?', (name,))
            assert said in webhooks("replay", GATE, "--event", event_id)
        try:
            service.start()
            assert receiver.wait_for(3)[-1].id == event_id
        finally:
            service.stop()
    for words, said in (
        (("replay", GATE), "select the events to send again"),
        (("replay", GATE, "--since", "yesterday"), "2026-01-31T12:00Z"),
        (("resume", "nobody", GATE), "not found; there are"),
        (("list", "plain_gate:gate"), "sends no webhooks"),
    ):
        done = mediagate("webhooks", *words, data_dir=data_dir, WEBHOOK_URL="http://127.0.0.1:1/")
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr


def test_doctor_examines_webhooks(tmp_path: Path) -> None:
    good = mediagate("doctor", GATE, data_dir=tmp_path, WEBHOOK_URL="http://127.0.0.1:1/")
    assert re.search("^ok +webhooks +1 endpoints", good.stdout, re.MULTILINE), good.stdout + good.stderr
    bad = mediagate("doctor", GATE, data_dir=tmp_path, WEBHOOK_URL="http://10.0.0.1:1/")
    assert bad.returncode == 1
    assert re.search("^FAIL +webhooks", bad.stdout, re.MULTILINE), bad.stdout
    assert "not public; to allow it, name its network in private_networks" in bad.stdout
