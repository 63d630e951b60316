"""Problems and job errors reveal no paths or other details of the server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mediagate import MODERATOR, STORAGE, MediaGate
from mediagate.errors import (
    ConfigError,
    MediagateError,
    ModerationFailed,
    ObjectNotFound,
    ProcessingError,
    ProcessingRefused,
    RecordsUnavailable,
    StorageUnavailable,
    UploadRefused,
)
from mediagate.http import problem
from mediagate.storage import FilesystemStorage
from tests.support import poison
from tests.support.poison import Poison

pytestmark = pytest.mark.anyio

PATH = "/srv/secret/model.onnx"


def client_of(gate: MediaGate) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://gate")


async def uploaded(client: httpx.AsyncClient, photo: bytes) -> httpx.Response:
    return await client.post(
        "/upload", data={"sourceType": "avatar", "sourceId": "1"}, files={"file": ("a.jpg", photo, "image/jpeg")}
    )


@pytest.mark.parametrize(
    "error",
    [
        ConfigError,
        MediagateError,
        ModerationFailed,
        ObjectNotFound,
        ProcessingError,
        RecordsUnavailable,
        StorageUnavailable,
    ],
)
def test_problem_keeps_operator_details_in_the_log(
    error: type[MediagateError], caplog: pytest.LogCaptureFixture
) -> None:
    answer = problem(error(f"cannot open {PATH}"))
    assert PATH.encode() not in bytes(answer.body)
    assert PATH in caplog.text
    assert PATH in str(error(f"cannot open {PATH}"))


@pytest.mark.parametrize("error", [ProcessingRefused, UploadRefused])
def test_problem_contains_the_message_of_a_refusing_hook(error: type[MediagateError]) -> None:
    assert b"not on Sundays" in bytes(problem(error("not on Sundays")).body)


async def test_storage_unavailable_problem_omits_the_storage_path(
    make_gate: Callable[..., MediaGate], photo: bytes, tmp_path: Path
) -> None:
    root = tmp_path / "here-is-the-storage"
    gate = make_gate(memory=False)
    gate.decorate(STORAGE, FilesystemStorage(root))
    async with gate, client_of(gate) as client:
        await asyncio.to_thread(shutil.rmtree, root)
        await asyncio.to_thread(root.write_text, "no folder")
        for answer in (await uploaded(client, photo), await client.get("/readyz")):
            assert answer.status_code == 503, answer.text
            assert "here-is" not in answer.text
            assert "staging" not in answer.text


@pytest.mark.parametrize("deed", [poison.refuse, poison.fail])
@pytest.mark.slow
async def test_job_error_omits_the_moderators_exception_message(
    deed: Callable[[], None], make_gate: Callable[..., MediaGate], photo: bytes
) -> None:
    gate = make_gate(moderation="on", max_attempts=2, retry_backoff_s=4)
    gate.decorate(MODERATOR, Poison(deed))
    async with gate, client_of(gate) as client:
        job = (await uploaded(client, photo)).json()["jobId"]
        last_error = status = None
        while status is None or status["status"] != "FAILED":
            await asyncio.sleep(0.1)
            status = (await client.get(f"/status/{job}")).json()
            last_error = status.get("lastError", last_error)
        told = "Moderation failed while checking and resizing: "
        assert str(last_error).startswith(told)
        assert status["error"].startswith(told)
        assert status["code"] == "moderation_failed"
        assert "secret" not in f"{last_error}{status}"
