"""The demo page in a real headless Chromium: opened, watched and measured."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Request, Route, ViewportSize, expect, sync_playwright

from tests.support.programs import chromium_path
from tests.support.server import Server

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--host-resolver-rules=MAP gate.test 127.0.0.1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW_MS = 30_000
DESKTOP: ViewportSize = {"width": 1100, "height": 900}
WATCH_STATES = """() => {
    window.seen = [];
    new MutationObserver(() => {
        const card = document.querySelector("#uploads .card");
        if (!card || window.seen.at(-1)?.state === card.dataset.state) return;
        window.seen.push({ state: card.dataset.state, at: performance.now() });
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
GIVE_FILE = """([kind, name, base64]) => {
    const data = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([data], name, { type: "image/jpeg" }));
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(kind === "paste"
        ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
        : new DragEvent(kind, { ...options, dataTransfer: transfer }));
}"""
# WCAG 2.2, 1.4.3: relative luminance of the colour of each text against the nearest painted background.
POOR_CONTRAST = """() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const rgba = channels(getComputedStyle(at).backgroundColor);
            if (rgba.length === 3 || rgba[3] === 1) return rgba;
        }
        return [255, 255, 255];
    };
    return [...document.body.querySelectorAll("*")]
        .filter((node) => node.checkVisibility() && [...node.childNodes].some((child) =>
            child.nodeType === Node.TEXT_NODE && child.textContent.trim()))
        .map((node) => {
            const pair = [luminance(channels(getComputedStyle(node).color)), luminance(behind(node))];
            return [node.textContent, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
        })
        .filter(([, ratio]) => ratio < 4.5);
}"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; without one on this machine the tests are skipped."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM, timeout=SLOW_MS)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Browser, service: Server, test: str, *, size: ViewportSize = DESKTOP) -> Iterator[Page]:
    """Open the page for a source id of its own; no script may fail, break the policy, or ask another host."""
    context = browser.new_context(viewport=size)
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    faults: list[str] = []

    def only_here(asked: Request) -> None:
        if not asked.url.startswith((service.url, "data:", "blob:http://127.0.0.1:")):
            faults.append(asked.url)

    page.on("request", only_here)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Security Policy" in said.text else None)
    try:
        page.goto(f"{service.url}/")
        be(page, re.sub(r"\W", "-", test)[:120].strip("-"))
        yield page
    finally:
        context.close()
    assert not faults


def be(page: Page, owner: str) -> None:
    """Type a source id, and wait until its pictures were asked for."""
    with page.expect_response(lambda answer: f"sourceId={owner}&" in answer.url):
        page.fill("#source-id", owner)
        page.press("#source-id", "Tab")


def choose(page: Page, *files: Path) -> Locator:
    page.set_input_files("#files", files)
    return page.locator("#uploads .card")


def expect_state(card: Locator, state: str) -> None:
    expect(card).to_have_attribute("data-state", state, timeout=SLOW_MS)


def lose_first_answer(page: Page, path: str) -> list[str]:
    """Lose the answer to the first request to a path; returns a list that fills with the keys of all requests."""
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(path, lose)
    return keys


def shot(page: Page, name: str, *, after_ms: int = 700) -> None:
    """Keep a screenshot where SCREENSHOTS says, for a person to look at."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(after_ms)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
