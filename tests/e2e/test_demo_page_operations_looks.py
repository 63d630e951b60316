"""The tab of operations in all its states, at a desktop's and a phone's width, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.demo_browser import POOR_CONTRAST, choose, expect_state, shot
from tests.support.demo_pipelines import add, operations_of, pick, run
from tests.support.server import Server


@pytest.fixture(scope="module")
def page(browser: Browser, operations: Server, data: Path) -> Iterator[Page]:
    """Both tabs: an upload, a finished run with two outputs, a rejected one, and steps with faults."""
    with operations_of(browser, operations, "operations-looks") as shown:
        shown.get_by_role("tab", name="Upload").click()
        expect_state(choose(shown, data / "moderation" / "chelsea.png"), "COMPLETE")
        shown.get_by_role("tab", name="Operations").click()
        pick(shown, data / "moderation" / "chelsea.png")
        add(shown, "Change dimensions", Width="106", Height="106")
        add(shown, "Save")
        expect_state(run(shown), "REJECTED")
        while shown.locator("#steps > li").count():
            shown.locator("#steps > li").last.get_by_role("button", name="Remove").click()
        add(shown, "Look", Name="vintage")
        add(shown, "Tint", Note="a note").get_by_text("More options").click()
        add(shown, "Save", As="large", Format="webp")
        add(shown, "Resize", Width="120")
        add(shown, "Save", As="small", Format="png")
        finished = run(shown)
        expect_state(finished, "COMPLETE")
        finished.locator("img.after").evaluate("image => image.decode()")
        shot(shown, "operations-done")
        add(shown, "Watermark").get_by_text("More options").click()
        add(shown, "Lut")
        shown.get_by_label("Intensity", exact=True).first.fill("900")
        shown.get_by_text("The request", exact=True).click()
        run(shown)
        expect(shown.locator("#pipeline-fault")).to_contain_text("4 faults in the request")
        yield shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("tab", ["Upload", "Operations"])
def test_both_tabs_are_accessible_and_fit(page: Page, tab: str, width: int, scheme: Literal["light", "dark"]) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.get_by_role("tab", name=tab).click()
    page.mouse.move(0, 0)
    page.evaluate("Promise.allSettled(document.getAnimations().map((animation) => animation.finished))")
    states = page.locator("#results .card").evaluate_all("cards => cards.map((card) => card.dataset.state)")
    assert states == ["COMPLETE", "REJECTED"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.response["passes"], "axe-core checked nothing"
    assert found.response["violations"] == [], found.generate_report()
    assert page.evaluate(POOR_CONTRAST) == []
    if tab == "Operations":
        small = [
            box
            for target in page.locator(
                "#panel-operations :is(button, select, input[type=text], input[type=number])"
            ).all()
            if (box := target.bounding_box()) and box["height"] < 44
        ]
        assert not small, "a finger needs 44 pixels"
    shot(page, f"{tab.lower()}-{width}-{scheme}", after_ms=100)


def test_motion_is_reduced_where_asked_for(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    durations = "[...document.querySelectorAll('*')].map((node) => getComputedStyle(node).transitionDuration)"
    assert set(page.evaluate(durations)) == {"0s"}
