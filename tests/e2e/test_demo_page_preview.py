"""A new card of the demo page scrolls into view and previews the local file until the picture is published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, Route, ViewportSize, expect

from tests.support import loopback
from tests.support.demo_browser import DESKTOP, choose, expect_state, opened
from tests.support.server import Server

PHONE: ViewportSize = {"width": 360, "height": 740}
NOTE_SCROLLING = """() => {
    window.places = [];
    addEventListener("scroll", () => window.places.push(scrollY));
    window.scrolled = new Promise((resolve) => { addEventListener("scrollend", resolve, { once: true }); });
}"""


@pytest.fixture
def page(browser: Browser, demo: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, demo, request.node.name, size=getattr(request, "param", DESKTOP)) as shown:
        yield shown


def hold_uploads(page: Page) -> list[Route]:
    """Hold a page's uploads back; the returned list fills with their routes."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/upload", hold)
    return held


@pytest.mark.parametrize("page", [PHONE], indirect=True)
@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_new_card_scrolls_into_view_on_a_phone(page: Page, data: Path, motion: str) -> None:
    page.emulate_media(reduced_motion="reduce" if motion == "reduce" else "no-preference")
    held = hold_uploads(page)
    page.evaluate(NOTE_SCROLLING)
    choose(page, data / "formats" / "hopper.jpg", data / "moderation" / "chelsea.png")
    page.evaluate("window.scrolled.then(() => true)")
    card = page.locator("#uploads .card").first
    top = card.evaluate("card => card.getBoundingClientRect().top")
    said = card.locator("progress").evaluate("bar => bar.getBoundingClientRect().bottom")
    assert 0 <= top < 40
    assert said <= PHONE["height"]
    places = page.evaluate("new Set(window.places).size")
    assert places == 1 if motion == "reduce" else places > 2
    assert page.evaluate("document.activeElement === document.body || document.activeElement.id === 'files'")
    for route in held:
        route.abort()


def test_new_card_in_view_does_not_scroll(page: Page, data: Path) -> None:
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "COMPLETE")
    assert page.evaluate("scrollY") == 0


def test_preview_shows_the_file_until_it_is_published(page: Page, data: Path) -> None:
    held = hold_uploads(page)
    card = choose(page, data / "moderation" / "chelsea.png")
    preview = card.get_by_role("img", name="Preview of chelsea.png")
    expect(preview).to_have_class("local shown")
    assert preview.evaluate("image => [image.naturalWidth, image.src.split(':')[0]]") == [451, "blob"]
    again = """image => new Promise((resolve) => {
        const other = new Image();
        other.onload = () => resolve("loaded");
        other.onerror = () => resolve("revoked");
        other.src = image.src;
    })"""
    assert preview.evaluate(again) == "revoked"
    for route in held:
        route.continue_()
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible()
    assert "/media/avatar/" in str(card.get_by_role("img").get_attribute("src"))


def test_preview_survives_a_retry_and_disappears_on_rejection(page: Page, data: Path, tmp_path: Path) -> None:
    page.context.set_offline(True)
    card = choose(page, data / "moderation" / "astronaut.png")
    expect_state(card, "UNREACHED")
    expect(card.locator("img.shown")).to_be_visible()
    page.context.set_offline(False)
    card.get_by_role("button", name="Retry").click()
    expect_state(card, "PENDING")
    expect(card.locator("img.shown")).to_be_visible()
    expect_state(card, "REJECTED")
    expect(card.locator("img")).to_have_count(0)


def test_heic_preview_falls_back_to_a_tile(page: Page, data: Path) -> None:
    expect(page.locator("#limits")).to_contain_text("JPEG, PNG, WebP, GIF, AVIF or HEIC, up to")
    accept = str(page.get_attribute("#files", "accept")).split(",")
    assert {"image/jpeg", "image/avif", "image/heic", "image/heif", ".heic", ".heif", ".avif"} <= set(accept)
    held = hold_uploads(page)
    card = choose(page, data / "formats" / "exif_xmp_iptc.heic")
    expect(card.locator(".tile")).to_have_text("HEICThis browser cannot preview it.")
    expect(card.locator("img")).to_have_count(0)
    for route in held:
        route.continue_()
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible()
    expect(card.locator(".tile")).to_have_count(0)


@pytest.mark.parametrize("way", ["through the gate", "directly"])
def test_oversized_file_is_refused_unsent_with_the_message_of_the_gate(
    page: Page, demo: Server, data: Path, way: str
) -> None:
    photo = data / "photos" / "photo_2725x2225.jpg"
    page.select_option("#source-type", "post")
    expect(page.locator("#limits")).to_contain_text("up to 0.047 MB each")
    if way == "directly":
        page.get_by_label("Upload directly").check()
    sent: list[Request] = []
    page.on("request", lambda asked: sent.append(asked) if asked.method != "GET" else None)
    card = choose(page, photo)
    expect_state(card, "REFUSED")
    answer = loopback.post(
        f"{demo.url}/upload",
        data={"sourceType": "post", "sourceId": "large"},
        files={"file": ("large.jpg", photo.read_bytes())},
        timeout=30,
    )
    assert answer.status_code == 413
    expect(card.locator(".said")).to_have_text(answer.json()["message"])
    expect(page.locator("#announcer")).to_contain_text(answer.json()["message"])
    assert card.get_by_role("button").count() == 0, "the same file would be refused again"
    small = choose(page, data / "formats" / "hopper.jpg").filter(has_text="hopper.jpg")
    expect_state(small, "COMPLETE")
    assert len(sent) == (3 if way == "directly" else 1), "of the two files only the small one is sent"


def test_moderation_scores_are_shown_on_complete_and_rejected_cards(page: Page, data: Path) -> None:
    complete = choose(page, data / "moderation" / "chelsea.png")
    with page.expect_response("**/demo/scores/*") as told:
        expect_state(complete, "COMPLETE")
    scores = told.value.json()["scores"]
    assert len(scores) == 18
    highest = max(scores, key=lambda label: scores[label])
    line = f"Allowed. Highest of 18 scores: {highest}, {100 * scores[highest]:.1f} %"
    summary = complete.locator("summary")
    expect(summary).to_have_text(line)
    expect(page.locator("#announcer")).to_contain_text(line)
    table = complete.get_by_role("table", name="Moderation scores, highest first")
    expect(table).to_be_hidden()
    summary.focus()
    page.keyboard.press("Enter")
    expect(table).to_be_visible()
    labels = table.get_by_role("rowheader").all_inner_texts()
    assert labels == sorted(scores, key=lambda label: (-scores[label], label))[:8]
    assert table.get_by_role("cell").all_inner_texts() == [f"{100 * scores[label]:.1f} %" for label in labels]
    expect(complete).to_contain_text("And 10 more, each at most")
    rejected = choose(page, data / "moderation" / "astronaut.png").filter(has_text="astronaut")
    expect_state(rejected, "REJECTED")
    expect(rejected.locator("summary")).to_contain_text("Rejected. Highest of 18 scores: FACE_FEMALE, ")
    expect(rejected.get_by_role("table")).to_be_visible()
