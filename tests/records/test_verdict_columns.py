"""Verdicts that other releases wrote can be read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from mediagate import MODERATOR, MediaGate, Source, Verdict
from tests.support.moderators import Fixed

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("change", [{"invented": [1]}, {"models": None}], ids=["newer", "older"])
async def test_verdict_of_another_release_is_read(
    make_gate: Callable[..., MediaGate], photo: bytes, change: dict[str, Any]
) -> None:
    gate = make_gate(sources={"avatar": Source(reject={"nude": 0.5})}, moderation="on", memory=False)
    gate.decorate(MODERATOR, Fixed("skin", {"nude": 0.2}))
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="1")
        written = (await gate.wait(job.job_id, timeout_s=60)).job.verdict
    with closing(sqlite3.connect(gate.settings.data_dir / "mediagate.db", isolation_level=None)) as database:
        ((text,),) = database.execute("SELECT verdict FROM mediagate_job")
        columns = {name: value for name, value in (json.loads(text) | change).items() if value is not None}
        database.execute("UPDATE mediagate_job SET verdict = ?", (json.dumps(columns),))
    async with gate:
        read = (await gate.get_status(job.job_id)).job.verdict
    assert written == Verdict(
        scores={"nude": 0.2}, model="skin.onnx", model_hash="skin-hash", models={"skin": "skin-hash"}
    )
    assert read is not None
    assert (read.scores, read.model) == ({"nude": 0.2}, "skin.onnx")
    assert read.models == ({} if "models" in change else written.models)
