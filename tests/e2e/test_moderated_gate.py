"""Effects of verdicts, failing models and poison pictures on their own job, and on no other."""

from __future__ import annotations

import io
from collections.abc import Callable

import anyio
import pytest
from PIL import Image

from mediagate import MODERATOR, JobStatus, MediaGate, Source, Status
from mediagate.errors import ConfigError
from tests.support.load import stretched
from tests.support.moderators import CRASHES, GOOD, HANGS, HOGS, RAISES, REJECTS, REVIEWS, Scripted

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
SOURCE = Source(reject={"explicit": 0.8}, review={"suggestive": 0.5})


def picture(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 80), (40, 120, 200)).save(file, "PNG")
    return file.getvalue()


def moderated(make_gate: MakeGate, source: Source = SOURCE, **settings: object) -> MediaGate:
    gate = make_gate(sources={"avatar": source}, moderation="on", **settings)
    gate.decorate(MODERATOR, Scripted())
    return gate


async def settled(gate: MediaGate, width: int) -> Status:
    status = await gate.upload(picture(width), source_type="avatar", source_id="u1")
    return await gate.wait(status.job_id, timeout_s=60)


async def test_moderation_publishes_only_allowed_pictures(make_gate: MakeGate) -> None:
    async with moderated(make_gate) as gate:
        good = await settled(gate, GOOD)
        assert good.status is JobStatus.COMPLETE
        verdict = good.job.verdict
        assert verdict is not None
        assert (verdict.decision, verdict.model, verdict.model_hash) == ("allow", "scripted", "0" * 64)
        assert verdict.scores == {"NUDE": 0.01, "SWIM": 0.02}

        rejected = await settled(gate, REJECTS)
        body = rejected.to_json(poll_after_ms=1000)
        assert rejected.http_status == 400
        assert body["reason"] == "Content moderation failed"
        assert body["moderationDetails"] == {"flags": ["explicit"], "confidence": 0.97}

        review = await settled(gate, REVIEWS)
        assert review.status is JobStatus.REJECTED
        assert "review" in (review.reason or "")
        assert review.job.verdict is not None
        assert review.job.verdict.flags == ("suggestive",)

        storage = gate.parts.storage
        published = {o.key.split("/")[3] async for o in storage.list("media/")}
        assert published == {good.job.media_id}, "only allowed pictures may be stored"
        assert [o async for o in storage.list("staging/")] == []


@pytest.mark.parametrize(
    ("width", "code", "attempts"),
    [
        (CRASHES, "image_crashed", 3),
        (HANGS, "image_timeout", 2),
        (HOGS, "image_too_large", 1),
        (RAISES, "moderation_failed", 3),
    ],
)
async def test_poison_picture_fails_and_affects_no_other_job(
    make_gate: MakeGate, width: int, code: str, attempts: int
) -> None:
    gate = moderated(
        make_gate,
        image_processes=2,
        image_timeout_s=stretched(1.5 if width == HANGS else 20),
        image_memory_bytes=512 * 2**20,
        retry_backoff_s=0.01,
    )
    async with gate:
        results: dict[int, Status] = {}

        async def run(number: int, size: int) -> None:
            results[number] = await settled(gate, size)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, 0, width)
            for number in range(1, 7):
                tasks.start_soon(run, number, GOOD)
        failed = results.pop(0)
        assert (failed.status, failed.job.code, failed.job.attempts) == (JobStatus.FAILED, code, attempts)
        assert "while checking and resizing" in (failed.error or "")
        assert "server is down" not in (failed.error or "")
        assert {status.status for status in results.values()} == {JobStatus.COMPLETE}
        assert (await settled(gate, GOOD)).status is JobStatus.COMPLETE, "the pool must have recovered"


async def test_moderation_without_a_valid_threshold_fails_at_startup(make_gate: MakeGate) -> None:
    for source in (Source(reject={"explict": 0.8}), Source()):
        with pytest.raises(ConfigError):
            await moderated(make_gate, source).open()
