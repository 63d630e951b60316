"""The example hosts run: a picture goes in, and the host's own route shows it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from server import free_port

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("app", "source_type", "own_route"),
    [
        ("examples.starlette_app:app", "avatar", "/users/u1"),
        ("examples.fastapi_app:app", "post", "/posts/u1/pictures"),
    ],
)
def test_an_example_host(app: str, source_type: str, own_route: str, tmp_path: Path, data: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MEDIAGATE_DATA_DIR": str(tmp_path), "MEDIAGATE_IMAGE_PROCESSES": "1"}
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, "--port", str(port)], cwd=ROOT, env=env, stdout=log, stderr=log
    )
    try:
        for _ in range(200):
            try:
                if httpx.get(f"{url}/image-pipeline/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        picture = (data / "moderation" / "chelsea.png").read_bytes()
        form = {"sourceType": source_type, "sourceId": "u1"}
        sent = httpx.post(f"{url}/image-pipeline/upload", data=form, files={"file": ("cat.png", picture)})
        assert sent.status_code == 202, sent.text
        done = httpx.get(f"{url}{sent.json()['statusUrl']}?wait=30", timeout=60)
        assert done.status_code == 200, done.text
        for _ in range(50):
            shown = httpx.get(f"{url}{own_route}").text
            if done.json()["media"]["urls"]["sm"] in shown:
                break
            time.sleep(0.1)
        assert done.json()["media"]["urls"]["sm"] in shown
    finally:
        process.terminate()
        process.wait(30)
        log.close()
