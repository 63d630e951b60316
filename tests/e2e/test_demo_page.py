"""Upload cards of the demo page, in a real browser against the real demo."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import blurhash
import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.support.demo_browser import (
    GIVE_FILE,
    POOR_CONTRAST,
    WATCH_STATES,
    choose,
    expect_state,
    lose_first_answer,
    opened,
    shot,
)
from tests.support.server import Server

WATCH_SHIFTS = """() => {
    window.shift = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; }))
        .observe({ type: "layout-shift" });
}"""


@pytest.fixture
def page(browser: Browser, demo: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, demo, request.node.name) as shown:
        yield shown


def test_card_of_a_good_photo_goes_from_pending_to_complete(page: Page, demo: Server, data: Path) -> None:
    page.evaluate(WATCH_STATES)
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "PROCESSING")
    expect(card.get_by_role("progressbar")).to_be_visible()
    expect(card).to_contain_text("Moderating and resizing.")
    shot(page, "processing", after_ms=100)
    expect_state(card, "COMPLETE")
    seen = page.evaluate("window.seen")
    assert [step["state"] for step in seen] == ["SENDING", "PENDING", "PROCESSING", "COMPLETE"]
    for step, following in pairwise(seen[1:]):
        assert following["at"] - step["at"] > 500, f"{step['state']} went by too fast to be read"
    expect(card).to_contain_text("451 \N{MULTIPLICATION SIGN} 300 pixels")
    expect(card).to_contain_text("Removed from every file: XMP data.")
    assert card.locator("div > table tbody th").all_inner_texts() == ["xs", "sm", "md", "lg", "xl"]
    assert card.locator("div > table tbody td").all_inner_texts()[:2] == ["64 \N{MULTIPLICATION SIGN} 43", "webp"]
    for link in card.locator("tbody a").all():
        found = page.request.get(str(httpx.URL(demo.url).join(str(link.get_attribute("href")))))
        assert found.headers["content-type"] == "image/webp"
    expect(card.locator("img.loaded")).to_be_visible()
    assert card.locator("img").evaluate("image => image.naturalWidth") == 451


def test_complete_card_lists_the_removed_metadata(page: Page, data: Path) -> None:
    card = choose(page, data / "photos" / "dog_exif_xmp_icc.jpg")
    expect_state(card, "COMPLETE")
    expect(card).to_contain_text("Removed from every file: camera data and XMP data.")
    expect(card.locator("img.loaded")).to_be_visible()
    assert page.evaluate(POOR_CONTRAST) == []
    shot(page, "complete")


def test_placeholder_is_painted_until_the_picture_loads(page: Page, data: Path) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/*.webp", hold)
    card = choose(page, data / "formats" / "with-alpha.png", data / "photos" / "photo_2725x2225.jpg").filter(
        has_text="photo_2725x2225"
    )
    expect_state(card, "COMPLETE")
    expect(card.locator("canvas")).to_be_visible()
    assert card.locator("img.loaded").count() == 0
    shape = card.locator(".shape").bounding_box()
    assert shape is not None
    assert shape["width"] / shape["height"] == pytest.approx(2725 / 2225, rel=0.01)
    painted = card.locator("canvas").evaluate(
        "c => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    media = page.request.get(f"{page.url}media?sourceType=avatar&limit=2").json()["items"]
    hashed = next(item["blurhash"] for item in media if item["width"] == 2725)
    expected = blurhash.decode(hashed, 32, 26).convert("RGBA").tobytes()
    assert painted[:2] == [32, 26]
    assert max(abs(a - b) for a, b in zip(painted[2:], expected, strict=True)) <= 2, (
        "another decoder sees another picture"
    )
    assert len(set(painted[2:])) > 20, "the placeholder must be a picture, not a plain colour"
    shot(page, "placeholder")
    for route in held:
        route.continue_()
    expect(card.locator("img.loaded")).to_be_visible()
    assert card.locator(".shape").bounding_box() == shape, "the picture must not move the page when it comes"


def test_layout_does_not_shift_while_a_job_runs(page: Page, data: Path) -> None:
    first = choose(page, data / "formats" / "with-alpha.png")
    expect_state(first, "COMPLETE")
    page.wait_for_timeout(600)
    card = choose(page, data / "moderation" / "chelsea.png").first
    expect_state(card, "PENDING")
    page.evaluate(WATCH_SHIFTS)
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("window.shift") < 0.02


def test_rejected_card_shows_the_reason(page: Page, data: Path) -> None:
    card = choose(page, data / "moderation" / "astronaut.png")
    expect_state(card, "REJECTED")
    expect(card).to_contain_text("Content moderation failed.")
    expect(card.locator(".labels li")).to_have_text(["FACE_FEMALE"])
    expect(card).to_contain_text(re.compile(r"Found with \d+ % confidence"))
    expect(page.locator("#announcer")).to_contain_text("REJECTED. Content moderation failed. FACE_FEMALE")
    expect(card.get_by_role("button")).to_have_text(["JSON", "curl: status", "curl: upload"])
    assert card.locator("img, .frame *").count() == 0
    assert page.evaluate(POOR_CONTRAST) == []
    shot(page, "rejected")


def test_card_explains_broken_and_oversized_files(page: Page, data: Path, tmp_path: Path) -> None:
    whole = (data / "formats" / "hopper.jpg").read_bytes()
    half, text = tmp_path / "half.jpg", tmp_path / "<img src=x onerror=alert(1)>.jpg"
    half.write_bytes(whole[: len(whole) // 2])
    text.write_text("not a picture at all")
    cards = choose(page, half, text)
    expect_state(cards.filter(has_text="half.jpg"), "FAILED")
    expect(cards.filter(has_text="half.jpg")).to_contain_text("damaged or incomplete")
    expect_state(cards.filter(has_text="<img src=x onerror=alert(1)>.jpg"), "REFUSED")
    expect(cards.filter(has_text="<img")).to_contain_text("not a picture of an accepted format")
    page.select_option("#source-type", "post")
    expect(page.locator("#limits")).to_contain_text("up to 0.047 MB each")
    large = choose(page, data / "photos" / "photo_2725x2225.jpg").filter(has_text="photo_2725x2225")
    expect_state(large, "REFUSED")
    expect(large).to_contain_text("This file is too large. The limit is 0.047 MB.")
    assert page.get_by_role("button", name="Retry").count() == 0, "the same file would fail again"
    assert page.evaluate(POOR_CONTRAST) == []
    shot(page, "errors")


def test_two_files_chosen_at_once_both_complete(page: Page, data: Path) -> None:
    cards = choose(page, data / "moderation" / "chelsea.png", data / "formats" / "with-alpha.png")
    expect(cards).to_have_count(2)
    for index in range(2):
        expect_state(cards.nth(index), "COMPLETE")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_dropped_or_pasted_picture_completes(page: Page, data: Path, kind: str) -> None:
    picture = base64.b64encode((data / "formats" / "hopper.jpg").read_bytes()).decode()
    page.select_option("#source-type", "post")
    if kind == "drop":
        page.evaluate(GIVE_FILE, ["dragover", "hopper.jpg", picture])
        expect(page.locator("#drop")).to_have_class("drop over")
    page.evaluate(GIVE_FILE, [kind, "hopper.jpg", picture])
    expect(page.locator("#drop")).to_have_class("drop")
    expect_state(page.locator("#uploads .card", has_text="hopper.jpg"), "COMPLETE")


def test_retry_after_a_lost_response_creates_one_job(page: Page, data: Path) -> None:
    keys = lose_first_answer(page, "**/upload")
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "UNREACHED")
    card.get_by_role("button", name="Retry").click()
    expect_state(card, "COMPLETE")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    listing = f"{page.url}media?sourceType=avatar&sourceId={page.input_value('#source-id')}"
    assert len(page.request.get(listing).json()["items"]) == 1


def test_retry_after_offline_completes(page: Page, data: Path) -> None:
    page.context.set_offline(True)
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "UNREACHED")
    expect(card).to_contain_text("The service cannot be reached. Check your connection, then try again.")
    shot(page, "offline")
    page.context.set_offline(False)
    card.get_by_role("button", name="Retry").focus()
    page.keyboard.press("Enter")
    expect_state(card, "COMPLETE")


def test_retry_while_waiting_resumes_without_a_second_upload(page: Page, data: Path) -> None:
    card = choose(page, data / "photos" / "photo_2725x2225.jpg")
    expect_state(card, "PENDING")
    page.context.set_offline(True)
    expect_state(card, "UNREACHED")
    page.context.set_offline(False)
    sent: list[Request] = []
    page.on("request", lambda asked: sent.append(asked) if asked.method == "POST" else None)
    card.get_by_role("button", name="Retry").click()
    expect_state(card, "COMPLETE")
    assert not sent, "the file has been sent already; only its job needs following"
