"""The demo page in a person's hands: earlier pictures, keyboard, phone; and how its files are served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from demo_browser import DESKTOP, POOR_CONTRAST, SLOW_MS, be, choose, chromium, expect_state, opened, shot
from playwright.sync_api import Browser, Page, ViewportSize, expect
from server import Server, running

PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = tmp_path_factory.mktemp("demo") / "data"
    with running("demo_gate:gate", data_dir, MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, service: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, service, request.node.name, size=getattr(request, "param", DESKTOP)) as shown:
        yield shown


def test_dark_and_earlier_pictures_and_delete(page: Page, data: Path) -> None:
    page.emulate_media(color_scheme="dark")
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "COMPLETE")
    assert page.evaluate(POOR_CONTRAST) == []
    owner = page.input_value("#source-id")
    page.reload()
    be(page, owner)
    earlier = page.locator("#earlier .card")
    expect(earlier).to_have_count(1)
    expect(earlier.locator("img.loaded")).to_be_visible()
    earlier.get_by_text("5 sizes").click()
    expect(earlier.locator("tbody a").first).to_be_visible()
    shot(page, "dark")
    source = earlier.locator("img").get_attribute("src")
    earlier.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete this picture?")
    shot(page, "dialog")
    page.get_by_role("button", name="Keep it").click()
    expect(earlier).to_have_count(1)
    earlier.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(earlier).to_have_count(0)
    expect(page.locator("#announcer")).to_contain_text("deleted")
    gone = page.request.get(str(httpx.URL(page.url).join(str(source))))
    assert gone.status == 404


def test_earlier_pictures_come_newest_first_and_in_pages(page: Page, service: Server, data: Path) -> None:
    owner = "many-pictures"
    picture = (data / "formats" / "hopper.jpg").read_bytes()
    for _ in range(8):
        sent = {"sourceType": "post", "sourceId": owner}
        job = httpx.post(f"{service.url}/upload", data=sent, files={"file": picture}, timeout=30).json()
        assert service.settled(job["jobId"]).status_code == 200
    page.select_option("#source-type", "post")
    be(page, owner)
    tiles = page.locator("#earlier .card")
    expect(tiles).to_have_count(6)
    page.get_by_role("button", name="Show more").click()
    expect(tiles).to_have_count(8)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    times = [str(time.get_attribute("datetime")) for time in tiles.locator("time").all()]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 8
    shot(page, "earlier")


def test_the_keyboard_is_enough(page: Page, data: Path) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(data / "moderation" / "chelsea.png"))
    page.focus("#source-type")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    outline = page.locator("#drop").evaluate("drop => getComputedStyle(drop).outlineStyle")
    assert outline == "solid", "the focus must be visible"
    page.keyboard.press("Enter")
    card = page.locator("#uploads .card")
    expect_state(card, "COMPLETE")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Delete":
            break
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Keep it", "the safe answer comes first"
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == "Delete", "the focus must come back"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(card).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "files"


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_on_a_phone_nothing_scrolls_sideways(page: Page, data: Path) -> None:
    card = choose(page, data / "oriented" / "portrait_6.jpg")
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible()
    shot(page, "phone")
    owner = page.input_value("#source-id")
    page.reload()
    be(page, owner)
    page.get_by_text("5 sizes").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for target in page.locator("button:visible, select, #source-id").all():
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 44, "a finger needs 44 pixels"
    shot(page, "phone-earlier")


def test_a_source_id_that_is_none_is_refused_before_anything_is_sent(page: Page, data: Path) -> None:
    page.fill("#source-id", "../etc")
    page.set_input_files("#files", data / "formats" / "hopper.jpg")
    assert page.locator("#uploads .card").count() == 0
    assert page.evaluate("document.activeElement.id") == "source-id"


def test_a_page_at_another_path_finds_the_gate(browser: Browser, data: Path, tmp_path: Path) -> None:
    with running("demo_gate:deeper", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as server:
        page = browser.new_page()
        answer = page.goto(f"{server.url}/deeper/down/", timeout=SLOW_MS)
        assert answer is not None
        assert "img-src 'self' data: https://cdn.example;" in answer.headers["content-security-policy"]
        card = choose(page, data / "formats" / "hopper.jpg")
        expect_state(card, "COMPLETE")
        expect(card.locator("img.loaded")).to_be_visible(timeout=SLOW_MS)
        page.close()


def test_the_files_are_under_a_strict_policy_and_cached_by_their_content(service: Server) -> None:
    for path, kind in {"": "text/html", "demo/page.js": "text/javascript", "demo/page.css": "text/css"}.items():
        answer = httpx.get(f"{service.url}/{path}", timeout=10)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        known = {"If-None-Match": f'"other", W/{answer.headers["etag"]}'}
        assert httpx.get(f"{service.url}/{path}", headers=known, timeout=10).status_code == 304
    for path in ("demo/nothing.js", "demo/page.html", "demo/__init__.py"):
        assert httpx.get(f"{service.url}/{path}", timeout=10).status_code == 404
