"""Final errors: damaged bytes are refused at upload, or their job fails after one attempt."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx
import pytest

from mediagate import JobStatus, MediaGate
from mediagate.errors import ImageTooLarge, UndecodableImage
from mediagate.images.pixels import aspect_ratio, final
from tests.support.charts import corners, saved
from tests.support.mounted import client_of
from tests.support.samples.mutation import mutant
from tests.support.samples.png_writer import COLOUR, PALETTE, SIGNATURE, chunk, header

MakeGate = Callable[..., MediaGate]
ROOT = Path(__file__).parents[2]
FORM = {"sourceType": "avatar", "sourceId": "user-1"}
REFUSALS = (400, 413, 415, 422)


def samples() -> dict[str, bytes]:
    """Return one small file of each accepted format, and of those with several frames or pictures."""
    first, second = corners(24, 20), corners(24, 20).rotate(180)
    moving = {"save_all": True, "append_images": [second, first.rotate(90)]}
    return {
        "jpeg": saved(first, "JPEG"),
        "png": saved(first, "PNG"),
        "gif": saved(first, "GIF", **moving),
        "webp": saved(first, "WEBP", **moving),
        "avif": saved(first, "AVIF"),
        "heic": saved(first, "HEIF"),
        "apng": saved(first, "PNG", **moving),
        "mpo": saved(first, "MPO", **moving),
    }


@pytest.mark.anyio
async def test_upload_of_a_mutant_never_answers_5xx(make_gate: MakeGate) -> None:
    random = Random(5)
    files = samples()
    structures = {"apng": "png", "mpo": "jpeg"}
    async with client_of(make_gate(worker=False)) as client:
        for name, data in files.items():
            for _ in range(12):
                body = mutant(data, structures.get(name, name), [data], random)
                answer: httpx.Response = await client.post("/upload", data=FORM, files={"file": ("a", body)})
                assert answer.status_code == 202 or answer.status_code in REFUSALS, (name, answer.text)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["palette", "stream"])
async def test_job_with_damage_after_the_header_fails_after_one_attempt(make_gate: MakeGate, name: str) -> None:
    data = {
        "palette": SIGNATURE + header(24, 20, PALETTE) + chunk(b"PLTE", bytes(3)) + chunk(b"IDAT", b"x" * 9),
        "stream": SIGNATURE + header(24, 20, COLOUR) + chunk(b"IDAT", b"no stream") + chunk(b"IEND"),
    }[name]
    async with make_gate() as gate:
        status = await gate.upload(data, source_type="avatar", source_id="u1")
        failed = await gate.wait(status.job_id, timeout_s=30)
    assert (failed.status, failed.job.code, failed.job.attempts) == (JobStatus.FAILED, "image_undecodable", 1)
    assert not failed.job.retryable


def test_mutants_of_every_format_never_end_in_processing_failed(tmp_path: Path) -> None:
    for name, data in samples().items():
        (tmp_path / f"sample.{name}").write_bytes(data)
    command = [sys.executable, "-m", "bench.mutants", "--samples", str(tmp_path), "--count", "30", "--seed", "3"]
    ran = subprocess.run(
        [*command, "--processes", "1"], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = [line for line in ran.stdout.splitlines() if "| 30 |" in line]
    assert len(rows) == 8
    assert "image_undecodable" in ran.stdout
    assert "COMPLETE" in ran.stdout
    assert "processing_failed" not in ran.stdout


@pytest.mark.parametrize("raised", [KeyError("x"), RuntimeError("x"), OSError("x"), UnboundLocalError("x")], ids=repr)
def test_decoder_exception_is_final_and_not_logged(raised: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UndecodableImage) as refused, final("decoding"):
        raise raised
    assert not refused.value.retryable
    assert not caplog.records


def test_memory_error_is_reported_as_image_too_large() -> None:
    with pytest.raises(ImageTooLarge), final("decoding"):
        raise MemoryError


def test_fault_in_own_code_is_logged_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "mediagate"), pytest.raises(UndecodableImage), final("resizing"):
        aspect_ratio(0, 0)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("bug in mediagate: resizing raised ZeroDivisionError at sizes.py:")
