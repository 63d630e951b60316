"""Use of the demo page: earlier pictures, keyboard, phone, API keys; and how its files are served."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support import loopback
from tests.support.command import output_of
from tests.support.demo_browser import (
    DESKTOP,
    POOR_CONTRAST,
    SLOW_MS,
    WATCH_STATES,
    be,
    choose,
    expect_state,
    opened,
    shot,
)
from tests.support.server import GATES, Server, running

PHONE: ViewportSize = {"width": 360, "height": 740}
CANCEL = """
import asyncio, sys
from demo_gate import deeper

async def cancel():
    async with deeper:
        await deeper.cancel(sys.argv[1])

asyncio.run(cancel())
"""


@pytest.fixture
def page(browser: Browser, demo: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, demo, request.node.name, size=getattr(request, "param", DESKTOP)) as shown:
        yield shown


def publish(demo: Server, owner: str, picture: bytes, count: int) -> None:
    """Upload pictures without the page, so that it lists them as earlier pictures."""
    for _ in range(count):
        sent = {"sourceType": "post", "sourceId": owner}
        job = loopback.post(f"{demo.url}/upload", data=sent, files={"file": picture}, timeout=30).json()
        assert demo.settled(job["jobId"]).status_code == 200


def test_earlier_picture_is_listed_and_deleted_in_dark_mode(page: Page, data: Path) -> None:
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


def test_earlier_pictures_are_paged_newest_first(page: Page, demo: Server, data: Path) -> None:
    publish(demo, "many-pictures", (data / "formats" / "hopper.jpg").read_bytes(), 8)
    page.select_option("#source-type", "post")
    be(page, "many-pictures")
    tiles = page.locator("#earlier .card")
    expect(tiles).to_have_count(6)
    page.get_by_role("button", name="Show more").click()
    expect(tiles).to_have_count(8)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    times = [str(time.get_attribute("datetime")) for time in tiles.locator("time").all()]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 8
    shot(page, "earlier")


def test_earlier_pictures_are_found_behind_a_page_of_new_uploads(
    page: Page, demo: Server, data: Path, tmp_path: Path
) -> None:
    picture = (data / "formats" / "hopper.jpg").read_bytes()
    publish(demo, "new-and-old", picture, 2)
    page.select_option("#source-type", "post")
    be(page, "new-and-old")
    files = [tmp_path / f"new-{number}.jpg" for number in range(6)]
    for file in files:
        file.write_bytes(picture)
    cards = choose(page, *files)
    for number in range(6):
        expect_state(cards.nth(number), "COMPLETE")
    page.select_option("#source-type", "avatar")
    expect(page.locator("#earlier .card")).to_have_count(0)
    page.select_option("#source-type", "post")
    expect(page.locator("#earlier .card")).to_have_count(2)
    expect(page.get_by_role("heading", name="Earlier pictures")).to_be_visible()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_earlier_pictures_load_the_next_page_after_the_last_deletion(page: Page, demo: Server, data: Path) -> None:
    publish(demo, "tidy", (data / "formats" / "hopper.jpg").read_bytes(), 7)
    page.select_option("#source-type", "post")
    be(page, "tidy")
    tiles = page.locator("#earlier .card")
    expect(tiles).to_have_count(6)
    oldest = loopback.get(f"{demo.url}/media?sourceType=post&sourceId=tidy&limit=7", timeout=10).json()["items"][-1]
    for left in (5, 4, 3, 2, 1, 0):
        tiles.first.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(tiles).to_have_count(left or 1)
    expect(tiles.locator("time")).to_have_attribute("datetime", oldest["createdAt"])
    expect(page.get_by_role("heading", name="Earlier pictures")).to_be_visible()
    expect(tiles.locator("h3")).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_live_region_announces_only_new_text(page: Page) -> None:
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    [region] = [node for node in tree if node.get("role", {}).get("value") == "status"]
    said = {entry["name"]: entry["value"].get("value") for entry in region["properties"]}
    assert said["live"] == "polite"
    assert not said.get("atomic"), "the announcements before would be read again with each new one"


def test_size_limit_of_20_mib_is_shown_as_20_mb(page: Page) -> None:
    expect(page.locator("#limits")).to_contain_text("up to 20 MB each")  # 20 MiB, as the gate counts


def test_job_cancelled_while_pending_is_never_shown_as_processing(browser: Browser, data: Path, tmp_path: Path) -> None:
    with running("demo_gate:deeper", tmp_path / "data", MEDIAGATE_WORKER="false") as server:
        page = browser.new_page()
        page.goto(f"{server.url}/deeper/down/", timeout=SLOW_MS)
        page.evaluate(WATCH_STATES)
        with page.expect_response("**/upload", timeout=SLOW_MS) as answer:
            card = choose(page, data / "formats" / "hopper.jpg")
        expect_state(card, "PENDING")
        environment = {**os.environ, "MEDIAGATE_DATA_DIR": str(tmp_path / "data"), "MEDIAGATE_WORKER": "false"}
        cancel = [sys.executable, "-c", CANCEL, answer.value.json()["jobId"]]
        subprocess.run(cancel, env=environment, cwd=GATES, check=True, timeout=60)
        expect_state(card, "CANCELLED")
        expect(card).to_contain_text("The upload was cancelled.")
        assert [step["state"] for step in page.evaluate("window.seen")] == ["SENDING", "PENDING", "CANCELLED"]
        page.close()


def test_demo_page_is_operable_by_keyboard(page: Page, data: Path) -> None:
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
def test_phone_layout_does_not_scroll_sideways(page: Page, data: Path) -> None:
    card = choose(page, data / "oriented" / "portrait_6.jpg")
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible()
    shot(page, "phone")
    owner = page.input_value("#source-id")
    page.reload()
    be(page, owner)
    page.get_by_text("5 sizes").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for target in page.locator("button:visible, select:visible, #source-id").all():
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 44, "a finger needs 44 pixels"
    shot(page, "phone-earlier")


def test_invalid_source_id_is_refused_before_the_upload(page: Page, data: Path) -> None:
    page.fill("#source-id", "  ")
    page.set_input_files("#files", data / "formats" / "hopper.jpg")
    assert page.locator("#uploads .card").count() == 0
    assert page.evaluate("document.activeElement.id") == "source-id"


def test_source_id_of_any_text_is_uploaded_and_listed(page: Page, data: Path) -> None:
    page.fill("#source-id", "ann@example.com/写真 100%")
    card = choose(page, data / "moderation" / "chelsea.png")
    expect_state(card, "COMPLETE")
    expect(card.locator("img.loaded")).to_be_visible(timeout=SLOW_MS)
    page.reload()
    page.fill("#source-id", "ann@example.com/写真 100%")
    page.locator("#source-id").blur()
    expect(page.locator("#earlier .card")).to_have_count(1, timeout=SLOW_MS)


def test_demo_page_at_another_path_finds_the_gate(browser: Browser, data: Path, tmp_path: Path) -> None:
    with running("demo_gate:deeper", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as server:
        page = browser.new_page()
        answer = page.goto(f"{server.url}/deeper/down/", timeout=SLOW_MS)
        assert answer is not None
        assert "img-src 'self' data: blob: https://cdn.example;" in answer.headers["content-security-policy"]
        card = choose(page, data / "formats" / "hopper.jpg")
        expect_state(card, "COMPLETE")
        expect(card.locator("img.loaded")).to_be_visible(timeout=SLOW_MS)
        page.close()


def test_demo_assets_have_a_strict_csp_and_etags(demo: Server) -> None:
    for path, kind in {"": "text/html", "demo/page.js": "text/javascript", "demo/page.css": "text/css"}.items():
        answer = loopback.get(f"{demo.url}/{path}", timeout=10)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        known = {"If-None-Match": f'"other", W/{answer.headers["etag"]}'}
        assert loopback.get(f"{demo.url}/{path}", headers=known, timeout=10).status_code == 304
    for path in ("demo/nothing.js", "demo/page.html", "demo/__init__.py"):
        assert loopback.get(f"{demo.url}/{path}", timeout=10).status_code == 404


def test_foreign_host_header_is_refused_on_every_route(demo: Server) -> None:
    for path in ("", "jobs", "media?sourceType=post", "healthz"):
        answer = loopback.get(f"{demo.url}/{path}", headers={"Host": f"evil.example:{demo.port}"}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (403, "host_not_allowed")
        assert "MEDIAGATE_ALLOWED_HOSTS" in answer.json()["detail"]
    assert loopback.get(f"{demo.url.replace('127.0.0.1', 'localhost')}/", timeout=10).status_code == 200


def test_demo_page_asks_for_an_api_key(browser: Browser, data: Path, tmp_path: Path) -> None:
    data_dir, create = tmp_path / "data", ("keys", "create", "demo_gate:keyed", "--owner", "ann")
    with running("demo_gate:keyed", data_dir) as service:
        made = [
            output_of(*create, *scopes, data_dir=data_dir)
            for scopes in ((), ("--scope", "upload", "--scope", "read", "--scope", "delete"))
        ]
        with opened(browser, service, "keys") as page:
            expect(page.locator("#earlier-fault")).to_contain_text("Enter a valid API key")
            key = page.get_by_label("API key")
            key.fill("mg_wrong")
            card = choose(page, data / "moderation" / "chelsea.png")
            expect_state(card, "REFUSED")
            shot(page, "key")
            key.fill(made[0])
            key.press("Tab")
            expect(page.locator("#earlier-fault")).to_be_hidden()
            card.get_by_role("button", name="Retry").click()
            expect_state(card, "COMPLETE")
            card.get_by_role("button", name="Delete").click()
            page.get_by_role("dialog").get_by_role("button", name="Delete").click()
            expect(card).to_contain_text("lacks the scope delete")
            key.fill(made[1])
            key.press("Tab")
            card.get_by_role("button", name="Delete").click()
            page.get_by_role("dialog").get_by_role("button", name="Delete").click()
            expect(card).to_have_count(0)
            page.get_by_label("Upload directly").check()
            expect_state(choose(page, data / "moderation" / "chelsea.png"), "COMPLETE")
            assert made[1] not in page.content()
