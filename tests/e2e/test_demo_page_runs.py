"""Runs of the tab of operations that do not end well, and those that are taken up again, cancelled or copied."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, expect

from tests.support.command import output_of
from tests.support.demo_browser import SLOW_MS, expect_state, lose_first_answer, shot
from tests.support.demo_pipelines import add, operations_of, pick, request_of, run
from tests.support.server import Server, running

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def page(browser: Browser, operations: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with operations_of(browser, operations, request.node.name) as shown:
        yield shown


def copied(place: Page | Locator, name: str) -> str:
    """Copy a text and return what is on the clipboard."""
    page = place if isinstance(place, Page) else place.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = place.get_by_role("button", name=name)
    button.click()
    expect(button).to_have_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def in_shell(line: str, folder: Path, **env: str) -> bytes:
    """Run a line in a shell, unchanged, and return what it prints."""
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env={**os.environ, **env}, capture_output=True, timeout=60, check=True
    ).stdout


def test_faults_are_shown_at_their_step_and_parameter(page: Page, data: Path) -> None:
    pick(page, data / "moderation" / "chelsea.png")
    add(page, "Save", As="big")
    step = add(page, "Look", Intensity="172")
    page.get_by_role("button", name="Check without running").click()
    control = step.get_by_label("Intensity", exact=True)
    expect(control).to_be_focused()
    expect(control).to_have_attribute("aria-invalid", "true")
    expect(control).to_have_accessible_description("0 leaves the picture as it is, 100 is the whole look at most 100.0")
    unused = "No step uses this picture; save it, or remove the step."
    expect(step.locator("> .fault")).to_have_text(unused)
    said = f"Not accepted: Step 2, Intensity: At most 100.0. Step 2: {unused}"
    expect(page.locator("#announcer p").last).to_have_text(said)
    shot(page, "operations-faults")
    page.get_by_role("heading", name="Steps").focus()
    run(page)
    expect(control).to_be_focused()
    expect(page.locator("#results > li")).to_have_count(0)
    control.fill("50")
    expect(control).not_to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Remove: step 2, Look").click()
    expect_state(run(page), "COMPLETE")


def test_fault_of_a_preset_is_shown_at_its_parameter(page: Page) -> None:
    page.select_option("#preset", "card")
    width = page.get_by_label("Width", exact=True)
    width.fill("9999")
    page.get_by_role("button", name="Check without running").click()
    expect(width).to_be_focused()
    expect(width).to_have_attribute("aria-invalid", "true")
    width.fill("99")
    page.get_by_role("button", name="Check without running").click()
    expect(page.locator("#pipeline-fault")).to_contain_text("Valid: makes large, small")


def test_run_without_a_picture_or_with_a_text_for_a_number_is_not_sent(page: Page, data: Path) -> None:
    sent: list[Request] = []
    page.on("request", lambda asked: sent.append(asked) if asked.method == "POST" else None)
    step = add(page, "Blur")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#pipeline-fault")).to_have_text("Choose a picture first.")
    expect(page.locator("#picture")).to_be_focused()
    pick(page, data / "formats" / "hopper.jpg")
    radius = step.get_by_label("Radius (required)")
    radius.press_sequentially("-e")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(step).to_contain_text("not a number")
    expect(radius).to_be_focused()
    assert not sent


def test_rejected_picture_is_said_plainly_and_shows_no_output(page: Page, data: Path) -> None:
    pick(page, data / "moderation" / "chelsea.png")
    add(page, "Save", As="fine")
    add(page, "Change dimensions", Width="106", Height="70")
    add(page, "Save", As="bad")
    card = run(page)
    expect_state(card, "REJECTED")
    expect(card).to_contain_text("Content moderation failed.")
    expect(card.locator(".labels li")).to_have_text(["NUDE"])
    expect(card).to_contain_text("Nothing that was made of it is kept.")
    assert card.locator("img, table, a").count() == 0
    expect(page.locator("#announcer p").last).to_contain_text("REJECTED. Content moderation failed.")
    job = json.loads(copied(card, "Copy JSON of"))
    assert (job["status"], job["outputs"]) == ("REJECTED", [])


def test_step_that_fails_is_named_at_the_run_and_at_the_step(page: Page, data: Path) -> None:
    pick(page, data / "formats" / "hopper.jpg")
    add(page, "Flip")
    step = add(page, "Tint")
    step.get_by_text("More options").click()
    step.get_by_label("Fails", exact=True).check()
    card = run(page)
    expect_state(card, "FAILED")
    expect(card).to_contain_text("in step 2 (Tint): it was asked to fail.")
    expect(card.locator(".stages [data-status=failed]")).to_contain_text("2. Tint failed")
    expect(step.locator("> .fault")).to_contain_text("it was asked to fail")


def test_running_step_is_shown_and_the_run_is_cancelled(page: Page, data: Path) -> None:
    pick(page, data / "formats" / "hopper.jpg")
    add(page, "Flip")
    add(page, "Doze")
    card = run(page)
    expect(card.locator(".said")).to_have_text("Running: 2. Doze.", timeout=SLOW_MS)
    expect(card.get_by_role("progressbar")).to_be_visible()
    cancel = card.get_by_role("button", name="Cancel")
    cancel.focus()
    page.keyboard.press("Enter")
    expect_state(card, "CANCELLED")
    expect(card).to_contain_text("The run was cancelled.")
    assert card.evaluate("card => card.contains(document.activeElement)"), "the focus must stay in the card"
    said = page.locator("#announcer p").all_inner_texts()
    assert [text.split(".")[1] for text in said] == [
        "jpg: SENDING",
        "jpg: PENDING",
        "jpg: PROCESSING",
        "jpg: CANCELLED",
    ]


def test_lost_connection_is_taken_up_without_a_second_job(page: Page, data: Path) -> None:
    keys = lose_first_answer(page, "**/pipelines")
    pick(page, data / "formats" / "hopper.jpg")
    add(page, "Flip")
    card = run(page)
    expect_state(card, "UNREACHED")
    card.get_by_role("button", name="Retry").click()
    expect_state(card, "COMPLETE")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    page.route("**/status/**", lambda route: route.abort("connectionreset"))
    card = run(page)
    expect_state(card, "UNREACHED")
    page.unroute("**/status/**")
    card.get_by_role("button", name="Retry").click()
    expect_state(card, "COMPLETE")
    assert len(keys) == 3, "the file has been sent already; only its job needs following"


@needs_curl
def test_copied_curl_lines_run_in_a_shell(page: Page, data: Path, tmp_path: Path) -> None:
    name, text = (
        """it's a "cat" \\ $(touch spoiled) `touch spoiled`; 100% ; type=text,x=1.png""",
        """a'b"c\\d;type=x $(touch e)""",
    )
    shutil.copy(data / "moderation" / "chelsea.png", tmp_path / name)
    shutil.copy(data / "formats" / "hopper.png", tmp_path / "logo.png")
    pick(page, tmp_path / name)
    add(page, "Watermark", Text=text)
    add(page, "Watermark").get_by_label("Picture").set_input_files(tmp_path / "logo.png")
    add(page, "Save", Format="png")
    asked = json.loads(copied(page, "Copy JSON of the request"))
    assert asked == request_of(page)
    assert asked["steps"][0]["text"] == text
    sent = json.loads(in_shell(copied(page, "Copy curl of the request"), tmp_path))
    assert sent["status"] == "PENDING", sent
    card = run(page)
    expect_state(card, "COMPLETE")
    job = json.loads(copied(card, "Copy JSON of"))
    assert job["jobId"] != sent["jobId"]
    assert job["outputs"][0]["url"].endswith("?SIGNATURE_LEFT_OUT")
    told = json.loads(in_shell(copied(card, "Copy curl: status of"), tmp_path))
    assert (told["status"], told["warnings"]) == ("COMPLETE", job["warnings"])
    in_shell(copied(card, "Copy curl: download of"), tmp_path)
    made = {path.name: path for path in tmp_path.iterdir()}
    assert len(made) == 3, "two pictures that were sent, and one that was made"
    [output] = [path for path in made.values() if path.name not in (name, "logo.png")]
    assert output.read_bytes().startswith(b"\x89PNG")


def test_copied_curl_line_contains_no_control_characters(page: Page, data: Path) -> None:
    picture = (data / "formats" / "hopper.png").read_bytes()
    name = "a\u001b[201~\rtouch spoiled\r.png"
    page.set_input_files("#picture", FilePayload(name=name, mimeType="image/png", buffer=picture))
    add(page, "Watermark", Text="a\u202eb\u0085c")
    line = copied(page, "Copy curl of the request")
    assert line.isprintable()
    assert "\\u202e" in line and "\\u0085" in line


@needs_curl
def test_gate_with_keys_asks_for_one_and_no_text_contains_it(browser: Browser, data: Path, tmp_path: Path) -> None:
    with running("operations_gate:keyed", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as service:
        key = output_of("keys", "create", "operations_gate:keyed", "--owner", "ann", data_dir=tmp_path / "data")
        page = browser.new_page(accept_downloads=True)
        page.goto(f"{service.url}/#operations", timeout=SLOW_MS)
        expect(page.locator("#pipeline-fault")).to_contain_text("Enter a valid API key")
        page.get_by_label("API key").fill(key)
        page.get_by_label("API key").press("Tab")
        pick(page, data / "formats" / "hopper.jpg")
        add(page, "Flip")
        line = copied(page, "Copy curl of the request")
        card = run(page)
        expect_state(card, "COMPLETE")
        expect(card.locator("img.after")).to_be_visible()
        with page.expect_download(timeout=SLOW_MS) as waiting:
            card.get_by_role("link", name="Download", exact=True).click()
        assert Path(waiting.value.path()).read_bytes().startswith(b"\xff\xd8")
        texts: list[Any] = [line, *(copied(card, f"Copy {name} of") for name in ("JSON", "curl: status"))]
        assert not [text for text in texts if key in text or key.rpartition("_")[2] in text]
        sent = json.loads(in_shell(line, data / "formats", MEDIAGATE_API_KEY=key))
        assert sent["status"] == "PENDING", sent
        page.close()
