"""A client written for the status contract runs unchanged under Node against a real service."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support import loopback
from tests.support.runtimes import packaged
from tests.support.server import running

RECIPE = Path(__file__).parent / "recipe" / "run.mjs"


def run(origin: str, picture: Path) -> Any:
    done = subprocess.run(
        [str(packaged("node")), str(RECIPE), origin, str(picture)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_status_client_handles_complete_rejected_and_failed_jobs(tmp_path: Path, data: Path) -> None:
    with running("face_gate:gate", tmp_path / "data", MEDIAGATE_RETRY_BACKOFF_S="0.1") as service:
        origin = f"http://127.0.0.1:{service.port}"

        good = run(origin, data / "moderation" / "chelsea.png")
        assert good["url"].endswith("/sm.webp")
        assert loopback.get(f"{origin}{good['url']}").headers["content-type"] == "image/webp"
        assert good["answer"] == {"ok": True}
        assert good["sent"] == [{"userId": "user-abc123", "type": "image_ready", "avatarUrl": good["url"]}]

        rejected = run(origin, data / "moderation" / "astronaut.png")
        assert rejected == {"thrown": "Content moderation failed", "answer": {"ok": True}, "sent": []}

        whole = (data / "formats" / "hopper.jpg").read_bytes()
        broken = tmp_path / "broken.jpg"
        broken.write_bytes(whole[: len(whole) // 2])
        failed = run(origin, broken)
        assert "checking and resizing" in failed["thrown"]
        assert failed["sent"] == []
