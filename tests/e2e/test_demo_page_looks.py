"""The demo page at three widths, light and dark: no overflow and no violation found by axe-core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.demo_browser import POOR_CONTRAST, choose, expect_state, opened, shot
from tests.support.server import Server


@pytest.fixture(scope="module")
def page(browser: Browser, demo: Server, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page with one card per final state, and all details open."""
    folder = tmp_path_factory.mktemp("looks")
    half, text, unseen = folder / "half.jpg", folder / f"{'long-name-' * 12}.jpg", folder / "lost.heic"
    half.write_bytes((data / "formats" / "hopper.jpg").read_bytes()[:3000])
    text.write_text("not a picture at all")
    unseen.write_bytes((data / "formats" / "arrow.heic").read_bytes())
    with opened(browser, demo, "looks") as shown:
        expect_state(choose(shown, data / "moderation" / "astronaut.png"), "REJECTED")
        complete = choose(shown, data / "moderation" / "chelsea.png").filter(has_text="chelsea")
        expect_state(complete, "COMPLETE")
        complete.locator("summary").click()
        cards = choose(shown, half, text)
        expect_state(cards.filter(has_text="half.jpg"), "FAILED")
        expect_state(cards.filter(has_text="long-name"), "REFUSED")
        shown.context.set_offline(True)
        expect_state(choose(shown, unseen).first, "UNREACHED")
        expect(shown.locator(".tile")).to_be_visible()
        shown.context.set_offline(False)
        shown.select_option("#source-type", "post")
        expect_state(choose(shown, data / "photos" / "photo_2725x2225.jpg").first, "REFUSED")
        expect(complete.locator("img.loaded")).to_be_visible()
        yield shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_demo_page_is_accessible_and_fits_in_every_state(
    page: Page, width: int, scheme: Literal["light", "dark"]
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.evaluate("Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
    states = page.locator("#uploads .card").evaluate_all("cards => cards.map((card) => card.dataset.state)")
    assert states == ["REFUSED", "UNREACHED", "REFUSED", "FAILED", "COMPLETE", "REJECTED"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.response["passes"], "axe-core checked nothing"
    assert found.response["violations"] == [], found.generate_report()
    assert page.evaluate(POOR_CONTRAST) == []
    shot(page, f"looks-{width}-{scheme}", after_ms=100)
