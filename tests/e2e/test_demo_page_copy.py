"""Clipboard texts of the demo page: the JSON of a job, and curl lines that run in a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.support import loopback
from tests.support.command import output_of
from tests.support.demo_browser import SLOW_MS, choose, expect_state, opened
from tests.support.server import Server, running


@pytest.fixture
def page(browser: Browser, demo: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, demo, request.node.name) as shown:
        yield shown


def copied(card: Locator, label: str) -> str:
    """Copy a text from a card and return what is on the clipboard."""
    card.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = card.get_by_role("button", name=f"Copy {label} of")
    button.click()
    expect(button).to_have_text("Copied")
    return str(card.page.evaluate("navigator.clipboard.readText()"))


def run(line: str, folder: Path, **env: str) -> Any:
    """Run a line in a shell, unchanged, and return the JSON that it prints."""
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env={**os.environ, **env}, capture_output=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_copied_json_equals_the_status_response(page: Page, demo: Server, data: Path) -> None:
    card = choose(page, data / "moderation" / "astronaut.png")
    expect_state(card, "REJECTED")
    job = json.loads(copied(card, "JSON"))
    assert job["status"] == "REJECTED"
    assert job["moderationDetails"]["flags"] == ["FACE_FEMALE"]
    told = loopback.get(f"{demo.url}/status/{job['jobId']}?http=200", headers={"Accept-Language": "en"}, timeout=10)
    assert job == told.json()
    expect(page.locator("#announcer")).to_contain_text("astronaut.png: JSON copied.")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_copied_curl_lines_run_in_a_shell(page: Page, data: Path, tmp_path: Path) -> None:
    name = """it's a "cat" \\ $(touch spoiled) `touch spoiled`; 100% ; type=text,x=1.png"""
    shutil.copy(data / "moderation" / "chelsea.png", tmp_path / name)
    card = choose(page, tmp_path / name)
    expect_state(card, "COMPLETE")
    job = json.loads(copied(card, "JSON"))
    assert run(copied(card, "curl: status"), tmp_path) == job
    line = copied(card, "curl: upload")
    assert "Authorization" not in line
    sent = run(line, tmp_path)
    assert sent["status"] == "PENDING"
    assert sent["jobId"] != job["jobId"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_copied_curl_line_contains_no_control_characters(page: Page, data: Path) -> None:
    picture = (data / "moderation" / "chelsea.png").read_bytes()
    name = "a\u001b[201~\rtouch spoiled\r.png"
    page.set_input_files("#files", FilePayload(name=name, mimeType="image/png", buffer=picture))
    card = page.locator("#uploads .card")
    expect_state(card, "COMPLETE")
    assert copied(card, "curl: upload").isprintable()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_copied_text_contains_no_keys_or_signatures(browser: Browser, data: Path, tmp_path: Path) -> None:
    with running("demo_gate:keyed", tmp_path / "data") as service:
        key = output_of("keys", "create", "demo_gate:keyed", "--owner", "ann", data_dir=tmp_path / "data")
        with opened(browser, service, "keys") as page:
            page.get_by_label("API key").fill(key)
            page.select_option("#source-type", "sealed")
            page.get_by_label("Upload directly").check()
            card = choose(page, data / "moderation" / "chelsea.png")
            expect_state(card, "COMPLETE")
            expect(card.locator("img.loaded")).to_be_visible()
            assert card.locator(".verdict").count() == 0, "this gate exposes no scores"
            texts = {label: copied(card, label) for label in ("JSON", "curl: status", "curl: upload")}
        job = json.loads(texts["JSON"])
        told = run(texts["curl: status"], data, MEDIAGATE_API_KEY=key)
        assert job["jobId"] == told["jobId"]
        assert "signature=" in told["media"]["urls"]["sm"]
        assert job["media"]["urls"]["sm"] == f"{told['media']['urls']['sm'].partition('?')[0]}?SIGNATURE_LEFT_OUT"
        assert "signature=" not in texts["JSON"]
        assert not [text for text in texts.values() if key in text or key.rpartition("_")[2] in text]
        sent = run(texts["curl: upload"], data / "moderation", MEDIAGATE_API_KEY=key)
        assert sent["status"] == "PENDING"


def test_copy_works_on_plain_http(browser: Browser, data: Path, tmp_path: Path) -> None:
    with running("demo_gate:deeper", tmp_path / "data", MEDIAGATE_ALLOWED_HOSTS="gate.test") as service:
        page = browser.new_page()
        page.goto(f"{service.url.replace('127.0.0.1', 'gate.test')}/deeper/down/?token=secret", timeout=SLOW_MS)
        assert page.evaluate("isSecureContext") is False
        card = choose(page, data / "formats" / "hopper.jpg")
        expect_state(card, "COMPLETE")
        button = card.get_by_role("button", name="Copy curl: upload of hopper.jpg")
        button.focus()
        page.keyboard.press("Enter")
        expect(button).to_have_text("Copied")
        expect(button).to_be_focused()
        page.fill("#source-id", "")
        page.focus("#source-id")
        page.keyboard.press("Control+V")
        fields = """-F 'sourceType=post' -F 'sourceId=demo-user' -F 'file=@"hopper.jpg"'"""
        assert page.input_value("#source-id").startswith(f"curl {fields} 'http://gate.test:{service.port}/image-")
        assert page.input_value("#source-id").endswith("/upload'")
        page.close()
