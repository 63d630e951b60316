"""The tutorials lead to what they say: their files are run, and their commands sent to what they started."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.support import loopback
from tests.support.demo_browser import chromium
from tests.support.pages import PAGES, environment, python_blocks, run_python, write_files
from tests.support.ports import free_port

FIRST_UPLOAD, AVATAR, FIRST_PLUGIN = (
    f"docs/tutorials/{name}.md" for name in ("first-upload", "avatar", "first-plugin")
)


@contextlib.contextmanager
def uvicorn(app: str, folder: Path) -> Iterator[str]:
    """Run an application of a folder as the tutorials do, and yield its address."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    with (folder / "log").open("wb") as log:
        words = [sys.executable, "-m", "uvicorn", app, "--port", str(port)]
        process = subprocess.Popen(words, cwd=folder, env=environment(), stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                loopback.get(url, timeout=10)
                break
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def commands(page: str) -> list[str]:
    """Return the curl commands of a page."""
    joined = PAGES[page].replace(" \\\n", " ")
    return re.findall(r"^    (?:\$ )?(curl .*)$", joined, re.M)


def run(command: str, url: str, folder: Path, **known: str) -> Any:
    """Run a documented command against an address, with the ids that earlier answers gave; return its JSON."""
    for written, real in known.items():
        command = re.sub(rf"\b{written}_\w+…", real, command)
    command = command.replace("localhost:8000", url)
    done = subprocess.run(
        ["sh", "-c", command.replace("curl ", "curl --silent --show-error ", 1)],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


@pytest.mark.parametrize("step", [0, 1], ids=["unmoderated", "moderated"])
def test_first_upload_is_published(step: int, tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "app.py").write_text(python_blocks(FIRST_UPLOAD)[step])
    (tmp_path / "photo.jpg").write_bytes(photo)
    upload, ask = commands(FIRST_UPLOAD)
    with uvicorn("app:app", tmp_path) as url:
        job = run(upload, url, tmp_path)
        assert job["status"] == "PENDING"
        status = run(ask, url, tmp_path, job=job["jobId"])
        assert status["status"] == "COMPLETE"
        assert loopback.get(url + status["media"]["urls"]["sm"]).headers["Content-Type"] == "image/webp"
        form = {"sourceType": "avatar", "sourceId": "user-1"}
        refused = loopback.post(f"{url}/image-pipeline/upload", data=form, files={"file": ("a.jpg", b"text " * 100)})
        assert refused.status_code == 415


def test_commands_of_readme_get_a_complete_job(tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "app.py").write_text(python_blocks("README.md")[0])
    (tmp_path / "photo.jpg").write_bytes(photo)
    upload, ask = commands("README.md")
    with uvicorn("app:app", tmp_path) as url:
        job = run(upload, url, tmp_path)
        end = time.monotonic() + 60
        while (status := run(ask, url, tmp_path, job=job["jobId"]))["status"] in ("PENDING", "PROCESSING"):
            assert time.monotonic() < end
            time.sleep(0.2)
    assert status["status"] == "COMPLETE"
    assert {"id", "urls", "originalUrl", "width", "height", "aspectRatio", "blurhash", "removed"} <= set(
        status["media"]
    )


def test_documented_direct_upload_is_published(tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "app.py").write_text(python_blocks(FIRST_UPLOAD)[0])
    (tmp_path / "photo.jpg").write_bytes(photo)
    declare, put, complete = commands("docs/how-to/direct-uploads.md")
    with uvicorn("app:app", tmp_path) as url:
        declared = run(declare.replace("48213", str(len(photo))), url, tmp_path)
        token = declared["url"].partition("token=")[2]
        assert run(put.replace("token=…", f"token={token}"), url, tmp_path, upl=declared["uploadId"]) is None
        job = run(complete, url, tmp_path, upl=declared["uploadId"])
        status = loopback.get(url + job["statusUrl"], params={"wait": 30}, timeout=60).json()
    assert status["status"] == "COMPLETE"


@pytest.fixture
def profile(tmp_path: Path) -> Iterator[str]:
    write_files(AVATAR, tmp_path)
    (page,) = re.findall(r"```html\n(.*?)```", PAGES[AVATAR], re.S)
    (tmp_path / "profile.html").write_text(page)
    with uvicorn("avatars:app", tmp_path) as url:
        yield url


def test_avatar_page_shows_the_new_picture(profile: str, data: Path) -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{profile}/sign-in".replace("127.0.0.1", "localhost"))
        shown = ["data:,"]
        for name in ("formats/hopper.jpg", "moderation/chelsea.png"):
            page.set_input_files("input[type=file]", data / name)
            page.get_by_role("button", name="Upload").click()
            expect(page.locator("#picture")).not_to_have_attribute("src", shown[-1], timeout=30_000)
            expect(page.locator("#message")).to_have_text("This is your new picture.")
            shown.append(str(page.locator("#picture").get_attribute("src")))
        page.reload()
        expect(page.locator("#picture")).to_have_attribute("src", shown[2])
        page.set_input_files("input[type=file]", data / "README.md")
        page.get_by_role("button", name="Upload").click()
        expect(page.locator("#message")).not_to_have_text("This is your new picture.")
    end = time.monotonic() + 30
    while loopback.get(profile + shown[1]).status_code != 404:
        assert time.monotonic() < end, "the old picture is still there"
        time.sleep(0.1)


REPEATED = """
import asyncio
from pathlib import Path

from avatars import AVATARS, gate, show

ended: list = []


async def keep(state) -> None:
    ended.append(state)


async def main() -> None:
    gate.add_hook("on_complete", keep)
    async with gate:
        for number in (1, 2):
            job = await gate.upload(Path("photo.jpg"), source_type="avatar", source_id="anna", owner="anna")
            await gate.wait(job.job_id, timeout_s=60)
            while len(ended) < number:
                await asyncio.sleep(0.01)
        older, newer = ended
        for state in (newer, older, older, newer):
            await show(state)
            assert AVATARS["anna"][1] == newer.media.id
            await gate.get_media(newer.media.id)


asyncio.run(main())
"""


def test_avatar_hook_keeps_the_last_upload_in_any_order(tmp_path: Path, photo: bytes) -> None:
    write_files(AVATAR, tmp_path)
    (tmp_path / "photo.jpg").write_bytes(photo)
    done = run_python("-c", REPEATED, folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_avatar_of_another_user_is_refused(profile: str, photo: bytes) -> None:
    def answer(user: str, **cookies: str) -> int:
        form = {"sourceType": "avatar", "sourceId": user}
        files = {"file": ("me.jpg", photo)}
        return loopback.post(f"{profile}/images/upload", data=form, files=files, cookies=cookies).status_code

    assert answer("anna") == 401
    assert answer("ben", session="s3cr3t-of-anna") == 403
    assert answer("anna", session="s3cr3t-of-anna") == 202


def test_first_plugin_passes_its_own_test(tmp_path: Path) -> None:
    files = write_files(FIRST_PLUGIN, tmp_path)
    assert set(files) == {"counter.py", "app.py", "test_counter.py"}
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_counter.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
