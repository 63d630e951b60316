"""Direct uploads from the demo page, in a real browser against the real demo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.demo_browser import WATCH_STATES, choose, expect_state, opened
from tests.support.server import MOUNT, Server


@pytest.fixture
def page(browser: Browser, demo: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, demo, request.node.name) as shown:
        shown.get_by_label("Upload directly").check()
        yield shown


def steps(page: Page) -> list[str]:
    """Return a list that fills with the page's unsafe requests: method and last segment of the path."""
    seen: list[str] = []

    def note(method: str, url: str) -> None:
        if method != "GET":
            seen.append(f"{method} {urlsplit(url).path.removeprefix(MOUNT).rpartition('/')[2]}")

    page.on("request", lambda asked: note(asked.method, asked.url))
    return seen


def test_direct_upload_declares_puts_and_completes(page: Page, data: Path) -> None:
    seen = steps(page)
    page.evaluate(WATCH_STATES)
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible()
    assert seen == ["POST uploads", "PUT content", "POST complete"]
    states = [step["state"] for step in page.evaluate("window.seen")]
    assert states == ["SENDING", "PENDING", "PROCESSING", "COMPLETE"]


def test_direct_upload_with_a_wrong_extension_is_refused(page: Page, data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "moderation" / "chelsea.png", tmp_path / "chelsea.jpg")
    card = choose(page, tmp_path / "chelsea.jpg")
    expect_state(card, "REFUSED")
    expect(card).to_contain_text("The file is png but was declared as image/jpeg")
    assert card.get_by_role("button").count() == 0


@pytest.mark.parametrize("lost", ["request", "answer"])
@pytest.mark.parametrize("step", ["content?token=*", "complete"])
def test_direct_upload_retry_resumes_at_the_lost_step(page: Page, data: Path, step: str, lost: str) -> None:
    seen = steps(page)

    def lose(route: Route) -> None:
        if lost == "answer":
            route.fetch()
        route.abort()

    page.route(f"**/{step}", lose)
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "UNREACHED")
    page.unroute(f"**/{step}")
    card.get_by_role("button", name="Retry").click()
    expect_state(card, "COMPLETE")
    assert seen.count("POST uploads") == 1
    owner = page.locator("#source-id").input_value()
    answer = page.request.get(f"{page.url}media?sourceType=avatar&sourceId={owner}")
    assert len(answer.json()["items"]) == 1


def test_file_of_unknown_type_is_uploaded_through_the_gate(page: Page, data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "moderation" / "chelsea.png", tmp_path / "chelsea")
    seen = steps(page)
    card = choose(page, tmp_path / "chelsea")
    expect_state(card, "COMPLETE")
    assert seen == ["POST upload"]
