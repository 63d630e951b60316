"""A log file that logrotate rotates: no line is lost while the service rests, and none is written to the old file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.support.deploy_samples import replaced, sample
from tests.support.programs import program
from tests.support.server import Server, running


def picture(width: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (width, 40), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Server]:
    """A service whose standard error is appended to a file, as with ``StandardError=append:`` of systemd."""
    with running("chatty_gate:gate", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield server


def publish(service: Server, width: int) -> str:
    """Publish a picture of a width that nothing else in the log has, and return the id of its job."""
    sent = service.upload("a.png", picture(width))
    assert sent.status_code == 202, sent.text
    job_id = str(sent.json()["jobId"])
    assert service.settled(job_id).status_code == 200
    return job_id


def rotate(service: Server, config: str) -> Path:
    """Rotate the log of a service as cron does every day, and return the old file."""
    folder = service.log.parent
    (folder / "logrotate.conf").write_text(replaced(config, {"/var/log/mediagate/*.log": str(service.log)}))
    logrotate = program("logrotate", "logrotate")
    state = str(folder / "logrotate.state")
    command = [logrotate, "--force", "--state", state, str(folder / "logrotate.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return service.log.with_name(f"{service.log.name}.1")


def test_rotated_log_continues_at_the_start_of_the_emptied_file(service: Server) -> None:
    before = publish(service, 517)
    old = rotate(service, sample("logrotate.conf"))
    after = publish(service, 623)
    kept, written = old.read_bytes(), service.log.read_bytes()
    assert b"judged a picture 517 wide" in kept and before.encode() in kept
    # The second line is one that the image process writes, to the descriptor that it has inherited.
    assert after.encode() in written and b"judged a picture 623 wide" in written
    assert b"\0" not in written
    assert b"517 wide" not in written and b"623 wide" not in kept


def test_log_file_that_is_moved_is_written_on(service: Server) -> None:
    """Why the sample copies and truncates: no process opens its log again."""
    publish(service, 517)
    old = rotate(
        service,
        sample("logrotate.conf")
        .replace("copytruncate", "create")
        .replace("delaycompress", "")
        .replace("    compress\n", ""),
    )
    publish(service, 623)
    assert b"623 wide" in old.read_bytes()
    assert service.log.read_bytes() == b""
