"""The page that ``make run`` shows, in a real browser against the real service."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright
from server import Server, running

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW_MS = 30_000
DESKTOP: ViewportSize = {"width": 1100, "height": 900}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("demo_gate:gate", tmp_path_factory.mktemp("demo") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on PATH; name one in CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, service: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, opened by an owner of its own; nothing may be logged as an error, or asked of another host."""
    size: ViewportSize = getattr(request, "param", DESKTOP)
    context = browser.new_context(viewport=size)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "request", lambda asked: None if "127.0.0.1" in asked.url or "data:" in asked.url else faults.append(asked.url)
    )
    opened.goto(f"{service.url}/")
    opened.fill("#source-id", re.sub(r"\W", "-", request.node.name)[:60].strip("-"))
    opened.press("#source-id", "Tab")
    yield opened
    context.close()
    assert not faults


def choose(page: Page, *files: Path) -> Locator:
    page.set_input_files("#files", files)
    return page.locator("#uploads .card")


def shot(page: Page, name: str) -> None:
    """Keep a screenshot where SCREENSHOTS says, for a person to look at."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def state(card: Locator) -> Locator:
    return card.locator(".state")


def test_a_good_photo_goes_from_pending_to_complete(page: Page, data: Path) -> None:
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const state = document.querySelector("#uploads .state");
                if (state && window.seen.at(-1) !== state.dataset.state) window.seen.push(state.dataset.state);
            }).observe(document.body, { subtree: true, childList: true, attributes: true });
        }"""
    )
    card = choose(page, data / "photos" / "dog_exif_xmp_icc.jpg")
    expect(state(card)).to_have_text("COMPLETE", timeout=SLOW_MS)
    seen = page.evaluate("window.seen")
    assert seen[0] == "SENDING"
    assert seen[-1] == "COMPLETE"
    assert {"PENDING", "PROCESSING"} & set(seen)
    assert card.locator("tbody tr").count() == 5
    expect(card).to_contain_text("Left out of every file: camera data")
    expect(card.locator("img.loaded")).to_be_visible(timeout=SLOW_MS)
    assert card.locator("img").evaluate("image => image.naturalWidth") == 640
    painted = card.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 === 0)"
    )
    assert len(set(painted)) > 20, "the placeholder must be a picture, not a plain colour"
    link = card.locator("tbody a").first.get_attribute("href")
    assert page.request.get(f"http://127.0.0.1:{page.url.split(':')[2].split('/')[0]}{link}").ok
    page.wait_for_timeout(500)
    shot(page, "complete")


def test_dark_and_earlier_pictures_and_delete(page: Page, data: Path) -> None:
    page.emulate_media(color_scheme="dark")
    card = choose(page, data / "moderation" / "chelsea.png")
    expect(state(card)).to_have_text("COMPLETE", timeout=SLOW_MS)
    owner = page.input_value("#source-id")
    page.reload()
    page.fill("#source-id", owner)
    page.press("#source-id", "Tab")
    earlier = page.locator("#earlier .card")
    expect(earlier).to_have_count(1)
    expect(earlier.locator("img.loaded")).to_be_visible(timeout=SLOW_MS)
    page.wait_for_timeout(500)
    shot(page, "dark")
    page.once("dialog", lambda dialog: dialog.accept())
    earlier.get_by_role("button", name="Delete").click()
    expect(earlier).to_have_count(0)
    expect(page.locator("#announcer")).to_contain_text("deleted")


def test_a_rejected_photo_says_why(page: Page, data: Path) -> None:
    card = choose(page, data / "moderation" / "astronaut.png")
    expect(state(card)).to_have_text("REJECTED: Content moderation failed", timeout=SLOW_MS)
    expect(card).to_contain_text("FACE_FEMALE")
    expect(page.locator("#announcer")).to_contain_text("Content moderation failed")
    assert card.locator("img").count() == 0
    shot(page, "rejected")


def test_broken_and_too_large_files_are_told_in_sentences(page: Page, data: Path, tmp_path: Path) -> None:
    whole = (data / "formats" / "hopper.jpg").read_bytes()
    half, text = tmp_path / "half.jpg", tmp_path / "text.jpg"
    half.write_bytes(whole[: len(whole) // 2])
    text.write_text("not a picture at all")
    cards = choose(page, half, text)
    expect(state(cards.filter(has_text="half.jpg"))).to_contain_text("damaged or incomplete", timeout=SLOW_MS)
    expect(state(cards.filter(has_text="half.jpg"))).to_contain_text("FAILED")
    expect(state(cards.filter(has_text="text.jpg"))).to_contain_text("no picture of an accepted format")
    page.select_option("#source-type", "post")
    expect(page.locator("#limits")).to_contain_text("48.8 KB")
    large = choose(page, data / "photos" / "photo_2725x2225.jpg").filter(has_text="photo_2725x2225")
    expect(state(large)).to_have_attribute("data-state", "ERROR", timeout=SLOW_MS)
    expect(state(large)).to_contain_text("50,000")
    shot(page, "errors")


def test_two_files_at_once(page: Page, data: Path) -> None:
    cards = choose(page, data / "moderation" / "chelsea.png", data / "formats" / "with-alpha.png")
    expect(cards).to_have_count(2)
    for index in range(2):
        expect(state(cards.nth(index))).to_have_text("COMPLETE", timeout=SLOW_MS)


def test_offline_then_try_again_makes_one_job(page: Page, data: Path) -> None:
    page.context.set_offline(True)
    card = choose(page, data / "moderation" / "chelsea.png")
    expect(state(card)).to_contain_text("cannot be reached", timeout=SLOW_MS)
    page.context.set_offline(False)
    card.get_by_role("button", name="Try again").click()
    expect(state(card)).to_have_text("COMPLETE", timeout=SLOW_MS)
    owner = page.input_value("#source-id")
    root = page.url.rstrip("/")
    assert len(page.request.get(f"{root}/media?sourceType=avatar&sourceId={owner}").json()["items"]) == 1


def test_the_keyboard_is_enough(page: Page, data: Path) -> None:
    page.focus("#source-type")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    outline = page.locator("#drop").evaluate("drop => getComputedStyle(drop).outlineStyle")
    assert outline == "solid", "the focus must be visible"
    with page.expect_file_chooser(timeout=SLOW_MS) as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(data / "moderation" / "chelsea.png")
    expect(state(page.locator("#uploads .card"))).to_have_text("COMPLETE", timeout=SLOW_MS)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#uploads .card")).to_have_count(0)


@pytest.mark.parametrize("page", [{"width": 360, "height": 740}], indirect=True)
def test_on_a_phone_nothing_scrolls_sideways(page: Page, data: Path) -> None:
    card = choose(page, data / "oriented" / "portrait_6.jpg")
    expect(state(card)).to_have_text("COMPLETE", timeout=SLOW_MS)
    expect(card.locator("img.loaded")).to_be_visible(timeout=SLOW_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.wait_for_timeout(500)
    shot(page, "phone")


def test_an_owner_that_is_no_id_is_refused_before_anything_is_sent(page: Page, data: Path) -> None:
    page.fill("#source-id", "../etc")
    page.set_input_files("#files", data / "formats" / "hopper.jpg")
    assert page.locator("#uploads .card").count() == 0


def test_the_page_is_under_a_strict_policy(service: Server, page: Page) -> None:
    answer = page.request.get(f"{service.url}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.request.get(f"{service.url}/demo/nothing.js").status == 404
