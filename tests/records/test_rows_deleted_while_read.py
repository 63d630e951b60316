"""Rows that another process deletes between the queries of one read are omitted."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mediagate import MediaGate
from mediagate_plugins.webhooks import WEBHOOKS, Endpoint, webhooks
from tests.support.ports import free_port

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


def leave(gate: MediaGate, statement: str) -> None:
    """Put the tables of a gate into the state between the two statements of a deletion."""
    path: Path = gate.settings.data_dir / "mediagate.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(statement)


async def test_delivery_of_a_deleted_event_is_omitted(make_gate: MakeGate, photo: bytes) -> None:
    gate = make_gate(memory=False, public_base_url="https://example.org")
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    endpoint = Endpoint(
        f"http://127.0.0.1:{free_port()}/", [secret], insecure_http=True, private_networks=["127.0.0.0/8"]
    )
    gate.register(webhooks, endpoints={"app": endpoint})
    async with gate:
        done = [
            await gate.wait((await gate.upload(photo, source_type="avatar", source_id=number)).job_id)
            for number in range(2)
        ]
        await gate[WEBHOOKS].deliver_due()
        assert len(await gate[WEBHOOKS].find()) == 2
        leave(gate, f"DELETE FROM mediagate_event WHERE jobId = '{done[0].job_id}'")
        assert [found.event.job_id for found in await gate[WEBHOOKS].find()] == [done[1].job_id]
