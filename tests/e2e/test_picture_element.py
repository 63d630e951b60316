"""The page of docs/how-to/variants-and-formats.md, in a real browser against a real gate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.pages import PAGES
from tests.support.server import MOUNT, Server, running

(HTML,) = re.findall(r"```html\n(.*?)```", PAGES["docs/how-to/variants-and-formats.md"], re.S)
LOADED = "async () => { await document.querySelector('img').decode(); return document.querySelector('img').currentSrc }"
SHOWN = (
    "() => { const { naturalWidth, clientWidth } = document.querySelector('img'); return [naturalWidth, clientWidth] }"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(
        "formats_gate:gate", tmp_path_factory.mktemp("formats") / "data", MEDIAGATE_IMAGE_PROCESSES="1"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def media(served: Server, data: Path) -> dict[str, Any]:
    photo = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    sent = served.upload("a.jpg", photo, source_type="photo")
    assert sent.status_code == 202, sent.text
    found: dict[str, Any] = served.settled(sent.json()["jobId"]).json()["media"]
    return found


def chosen(
    browser: Browser, served: Server, html: str, media: dict[str, Any], *, width: int, density: float = 1
) -> tuple[str, list[int]]:
    """Return the file that a browser of this width in pixels chose, and its width, in itself and on the page."""
    context = browser.new_context(viewport={"width": width, "height": 800}, device_scale_factor=density)
    try:
        page: Page = context.new_page()
        page.route("**/page.html*", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        page.goto(f"{served.url.removesuffix(MOUNT)}/page.html?media={media['id']}")
        page.wait_for_selector("picture img")
        url: str = page.evaluate(LOADED)
        return url.rpartition("/")[2], page.evaluate(SHOWN)
    finally:
        context.close()


@pytest.mark.parametrize(
    ("width", "density", "file"),
    [(300, 1, "w320.avif"), (1200, 1, "w640.avif"), (1200, 2, "w1280.avif"), (600, 3, "w1280.avif")],
)
def test_picture_element_loads_the_file_that_fits(
    browser: Browser, served: Server, media: dict[str, Any], width: int, density: float, file: str
) -> None:
    assert set(media["srcset"]) == {"avif", "webp", "jpeg"}
    name, _ = chosen(browser, served, HTML, media, width=width, density=density)
    assert name == file


@pytest.mark.parametrize(("missing", "file"), [(("avif",), "w640.webp"), (("avif", "webp"), "w640.jpg")])
def test_picture_element_falls_back_to_the_next_format(
    browser: Browser, served: Server, media: dict[str, Any], missing: tuple[str, ...], file: str
) -> None:
    # A browser skips types that it does not know.
    known = f"type: {json.dumps(missing)}.includes(format) ? 'image/x-none' : `image/${{format}}`"
    html = HTML.replace("type: `image/${format}`", known)
    assert html != HTML
    name, (natural, shown) = chosen(browser, served, html, media, width=1200)
    assert (name, natural, shown) == (file, 640, 640)


def test_srcset_leaves_out_the_thumbnail(media: dict[str, Any]) -> None:
    assert [file["name"] for file in media["variants"]][-1] == "thumb"
    assert not any("thumb" in srcset for srcset in media["srcset"].values())
    assert [entry.rpartition(" ")[2] for entry in media["srcset"]["webp"].split(", ")] == ["320w", "640w", "1280w"]
