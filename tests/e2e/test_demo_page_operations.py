"""The tab of operations of the demo page: steps are built, run, compared and downloaded."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support import loopback
from tests.support.demo_browser import GIVE_FILE, SLOW_MS, choose, expect_state
from tests.support.demo_pipelines import add, operations_of, pick, request_of, run, titles
from tests.support.server import Server, running

TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.fixture
def page(browser: Browser, operations: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    with operations_of(browser, operations, request.node.name) as shown:
        yield shown


def downloaded(page: Page, link: str) -> bytes:
    with page.expect_download(timeout=SLOW_MS) as waiting:
        page.get_by_role("link", name=link, exact=True).first.click()
    return Path(waiting.value.path()).read_bytes()


def test_tabs_follow_keys_and_the_hash_of_the_address(page: Page, operations: Server) -> None:
    upload, tab = page.get_by_role("tab", name="Upload"), page.get_by_role("tab", name="Operations")
    expect(page).to_have_url(re.compile("#operations$"))
    expect(page.get_by_role("tabpanel", name="Operations")).to_be_visible()
    tab.focus()
    page.keyboard.press("ArrowRight")
    expect(upload).to_be_focused()
    expect(upload).to_have_attribute("aria-selected", "true")
    expect(tab).to_have_attribute("tabindex", "-1")
    expect(page.get_by_role("tabpanel", name="Upload")).to_be_visible()
    page.keyboard.press("End")
    expect(tab).to_be_focused()
    page.go_back()
    expect(upload).to_have_attribute("aria-selected", "true")
    page.goto(f"{operations.url}/#operations")
    page.reload()
    expect(page.get_by_role("tabpanel", name="Operations")).to_be_visible()


def test_steps_run_on_a_picture_and_the_result_is_compared(page: Page, data: Path) -> None:
    pick(page, data / "moderation" / "chelsea.png")
    add(page, "Resize", Width="200")
    add(page, "Look", Name="noir")
    add(page, "Save", Format="webp")
    assert request_of(page) == {
        "steps": [
            {"op": "resize", "width": 200},
            {"op": "look", "name": "noir"},
            {"op": "save", "format": "webp"},
        ]
    }
    card = run(page)
    expect_state(card, "COMPLETE")
    names = ["Judge", "1. Resize", "2. Look", "3. Save", "Publish"]
    assert card.locator(".stages span").all_inner_texts() == names
    expect(card.locator(".stages li").nth(1)).to_have_text(re.compile(r"1\. Resize \d+ ms"))
    slider = card.get_by_role("slider", name="Before and after")
    after = card.locator("img.after")
    assert after.evaluate("image => image.decode().then(() => image.naturalWidth)") == 200
    assert card.locator("img.before").evaluate("image => image.decode().then(() => image.naturalWidth)") == 451
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert after.evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 0px 0px 1%)"
    expect(slider).to_have_attribute("aria-valuetext", "1 % before, 99 % after")
    picture = Image.open(io.BytesIO(downloaded(page, "Download")))
    assert (picture.format, picture.size) == ("WEBP", (200, 133))


def test_controls_come_from_the_schema_that_the_service_gives(page: Page) -> None:
    step = add(page, "Tint", Note="héllo", Mode="grey")
    step.get_by_text("More options").click()
    step.get_by_label("Sizes").fill("[1, 2]")
    step.get_by_label("Fails", exact=True).check()
    step.get_by_label("Colour", exact=True).fill("#ff0000")
    expect(step.get_by_label("Colour, colour picker")).to_have_value("#ff0000")
    step.get_by_label("Share, slider").focus()
    page.keyboard.press("ArrowRight")
    expect(step.get_by_label("Share", exact=True)).to_have_value("0.51")
    step.get_by_label("If it fails").select_option("skip")
    asked = {"colour": "#ff0000", "share": 0.51, "mode": "grey", "note": "héllo", "sizes": [1, 2], "fails": True}
    assert request_of(page) == {"steps": [{"op": "tint", **asked, "onError": "skip"}]}
    for name, value in {"Share": "0.5", "Note": "", "Sizes": ""}.items():
        step.get_by_label(name, exact=True).fill(value)
    left = {"colour": "#ff0000", "mode": "grey", "fails": True, "onError": "skip"}
    assert request_of(page) == {"steps": [{"op": "tint", **left}]}, "values that hold anyway are left out"
    family = page.get_by_role("group", name="Filter")
    expect(family).to_contain_text('Absent is not installed: pip install "mine[absent]"')
    assert family.get_by_role("button", name="Absent").count() == 0
    width = add(page, "Resize").locator(".control").first
    expect(width).to_contain_text("px")
    expect(width).to_contain_text("1 to 65,500")


def test_steps_are_moved_and_removed_by_buttons_and_by_drag(page: Page) -> None:
    for operation in ("Flip", "Mirror", "Orient"):
        add(page, operation)
    expect(page.locator("#steps > li h3").last).to_be_focused()
    up = page.get_by_role("button", name="Up: step 3, Orient")
    up.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert titles(page) == ["1. Orient", "2. Flip", "3. Mirror"]
    expect(page.get_by_role("button", name="Down: step 1, Orient")).to_be_focused()
    expect(page.locator("#announcer p").last).to_have_text("Orient: step 1 of 3.")
    boxes = [grip.bounding_box() for grip in page.locator(".grip").all()]
    assert boxes[0] is not None and boxes[2] is not None
    page.mouse.move(boxes[0]["x"] + 5, boxes[0]["y"] + 20)
    page.mouse.down()
    page.mouse.move(boxes[2]["x"] + 5, boxes[2]["y"] + 100, steps=5)
    page.mouse.up()
    assert titles(page) == ["1. Flip", "2. Mirror", "3. Orient"]
    expect(page.locator("#announcer p").last).to_have_text("Orient: step 3 of 3.")
    assert [step["op"] for step in request_of(page)["steps"]] == ["flip", "mirror", "orient"]
    page.get_by_role("button", name="Remove: step 1, Flip").click()
    assert titles(page) == ["1. Mirror", "2. Orient"]
    expect(page.get_by_role("heading", name="1. Mirror")).to_be_focused()


def test_preset_runs_and_its_steps_can_be_edited(page: Page, data: Path) -> None:
    pick(page, data / "moderation" / "chelsea.png")
    page.select_option("#preset", "card")
    expect(page.locator("#own-steps")).to_be_hidden()
    page.get_by_label("Width", exact=True).fill("120")
    assert request_of(page) == {"preset": "card", "params": {"width": 120}}
    card = run(page)
    expect_state(card, "COMPLETE")
    expect(card.get_by_role("group", name="Output to compare").get_by_role("button")).to_have_text(["large", "small"])
    page.get_by_role("button", name="Edit its steps").click()
    expect(page.get_by_role("heading", name="1. Resize")).to_be_focused()
    assert [step["op"] for step in request_of(page)["steps"]] == ["resize", "look", "save", "resize", "save"]
    assert request_of(page)["steps"][3] == {"op": "resize", "width": 60, "from": "original"}
    page.get_by_role("button", name="Check without running").click()
    expect(page.locator("#pipeline-fault")).to_have_text(
        re.compile(rf"Valid: makes large, small, in about \d+ ms for 451 {TIMES} 300 pixels\.")
    )


def test_several_outputs_warnings_and_data_are_shown(page: Page, data: Path) -> None:
    pick(page, data / "moderation" / "chelsea.png")
    add(page, "Tint", Note="one <b>two</b>")
    add(page, "Save", As="big", Format="png")
    add(page, "Resize", Width="50")
    add(page, "Save", As="small", Format="webp")
    add(page, "Read metadata")
    card = run(page)
    expect_state(card, "COMPLETE")
    expect(card.locator(".said")).to_have_text("The result: 2 files and data. 1 warning.")
    expect(card.get_by_role("list", name="Warnings")).to_have_text("Step 1, Tint: The note is one <b>two</b>.")
    card.get_by_text("Data of Read metadata").click()
    expect(card.locator("pre")).to_contain_text('"xmp"')
    card.get_by_role("button", name="small").click()
    expect(card.get_by_role("button", name="small")).to_have_attribute("aria-pressed", "true")
    assert card.locator("img.after").evaluate("image => image.decode().then(() => image.naturalWidth)") == 50
    assert card.locator("tbody td").all_inner_texts()[::3] == [f"451 {TIMES} 300", f"50 {TIMES} 33"]
    expect(card).to_contain_text("Private, and deleted on ")
    with zipfile.ZipFile(io.BytesIO(downloaded(page, "Download all (ZIP)"))) as archive:
        assert len(archive.namelist()) == 2


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_dropped_or_pasted_picture_is_chosen_and_not_uploaded(page: Page, data: Path, kind: str) -> None:
    picture = base64.b64encode((data / "formats" / "hopper.jpg").read_bytes()).decode()
    page.evaluate(GIVE_FILE, [kind, "hopper.jpg", picture])
    expect(page.locator("#chosen")).to_contain_text("hopper.jpg")
    assert page.locator("#uploads .card").count() == 0


def test_uploaded_picture_is_used_without_sending_it_again(page: Page, data: Path) -> None:
    page.get_by_role("tab", name="Upload").click()
    upload = choose(page, data / "moderation" / "chelsea.png")
    expect_state(upload, "COMPLETE")
    page.get_by_role("tab", name="Operations").click()
    offered = page.get_by_role("group", name="Your uploads").get_by_role("button")
    offered.first.click()
    expect(offered.first).to_have_attribute("aria-pressed", "true")
    add(page, "Mirror")
    asked = request_of(page)
    assert asked["mediaId"].startswith("med_")
    card = run(page)
    expect_state(card, "COMPLETE")
    assert card.locator("img.before").evaluate("image => image.decode().then(() => image.naturalWidth)") == 451
    page.get_by_role("tab", name="Upload").click()
    upload.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(upload).to_have_count(0)
    page.get_by_role("tab", name="Operations").click()
    expect(page.get_by_role("group", name="Your uploads")).to_be_hidden()
    assert "mediaId" not in request_of(page)


def test_everything_is_done_by_keyboard(page: Page, data: Path) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(data / "formats" / "hopper.jpg"))
    page.get_by_role("tab", name="Operations").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#picture")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#chosen")).to_contain_text("hopper.jpg")
    until(page, "Pixelate: add to the steps")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Size (required)")).to_be_focused()
    page.keyboard.type("8")
    page.keyboard.press("Enter")
    card = page.locator("#results .card")
    expect_state(card, "COMPLETE")
    until(page, "Before and after")
    page.keyboard.press("ArrowLeft")
    expect(card.get_by_role("slider")).to_have_value("49")


def until(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.ariaLabel") == name:
            return
    raise AssertionError(f"no way to {name!r} by keyboard")


def test_presets_alone_are_offered_to_callers_without_the_right_to_steps(
    browser: Browser, data: Path, tmp_path: Path
) -> None:
    with running("operations_gate:presets_only", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as service:
        with operations_of(browser, service, "presets") as page:
            expect(page.locator("#preset option")).to_have_text(["card"])
            expect(page.locator("#own-steps")).to_be_hidden()
            expect(page.get_by_role("button", name="Edit its steps")).to_be_hidden()
            pick(page, data / "moderation" / "chelsea.png")
            expect_state(run(page), "COMPLETE")
        sent = {"request": (None, '{"steps": [{"op": "flip"}]}')}
        assert loopback.post(f"{service.url}/pipelines", files=sent, timeout=10).status_code == 403


def test_built_in_gate_runs_presets_and_steps_with_private_results(data: Path, tmp_path: Path) -> None:
    with running("mediagate_plugins.standalone:gate", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as service:
        told = loopback.get(f"{service.url}/pipelines/operations", timeout=10).json()
        assert (told["adHoc"], told["limits"]["ttlHours"]) == (True, 1)
        asked = [{"preset": preset["name"]} for preset in told["presets"]]
        assert len(asked) == 2
        for request in [*asked, {"steps": [{"op": "flip"}], "retention": {"ttlHours": 48}}]:
            picture = (data / "moderation" / "chelsea.png").read_bytes()
            form: Any = {"file": ("chelsea.png", picture), "request": (None, json.dumps(request))}
            job = loopback.post(f"{service.url}/pipelines", files=form, timeout=30).json()
            status = service.settled(job["jobId"]).json()
            assert status["status"] == "COMPLETE", status
            assert status["retention"]["ttlHours"] == 1
            for output in status["outputs"]:
                url = httpx.URL(service.url).join(output["url"])
                assert loopback.get(url, timeout=10).status_code == 200
                assert loopback.get(url.copy_with(query=None), timeout=10).status_code == 404
