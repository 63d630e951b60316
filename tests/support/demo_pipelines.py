"""The tab of operations of the demo page, as a person uses it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.support.demo_browser import DESKTOP, opened
from tests.support.server import Server


@contextlib.contextmanager
def operations_of(browser: Browser, service: Server, test: str, *, size: ViewportSize = DESKTOP) -> Iterator[Page]:
    """Open the tab; no script may fail, break the policy, or ask another host."""
    with opened(browser, service, test, size=size) as page:
        page.get_by_role("tab", name="Operations").click()
        expect(page.get_by_role("heading", name="Steps")).to_be_visible()
        yield page


def pick(page: Page, picture: Path) -> None:
    """Choose the picture on which the steps run."""
    page.set_input_files("#picture", picture)
    expect(page.locator("#chosen")).to_contain_text(picture.name)


def add(page: Page, operation: str, **values: str) -> Locator:
    """Add a step and fill in parameters by their labels; returns the step."""
    page.get_by_role("button", name=f"{operation}: add to the steps").click()
    step = page.locator("#steps > li").last
    for name, value in values.items():
        control = step.get_by_label(re.compile(rf"^{name}( \(required\))?$"))
        if control.evaluate("input => input.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)
    return step


def titles(page: Page) -> list[str]:
    """Return the titles of the steps, in their order."""
    return page.locator("#steps > li h3").all_inner_texts()


def request_of(page: Page) -> Any:
    """Return the request that the page shows."""
    return page.locator("#request-json").evaluate("pre => JSON.parse(pre.textContent)")


def run(page: Page) -> Locator:
    """Run the steps; returns the card of the result."""
    page.get_by_role("button", name="Run", exact=True).click()
    return page.locator("#results .card").first
