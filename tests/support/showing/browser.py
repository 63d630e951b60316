"""Chromium as a viewer: many pictures on one sheet, one screenshot, cut apart."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import CDPSession, Page, Route, sync_playwright

Decoding = Literal["whole", "with an error", "not", "too slow"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
]
SHEET = 2048
"""Pixels along an edge of a sheet; a larger picture has one of its own."""
SLOW_MS = 60_000
PATIENCE_MS = 20_000
PAGE = "http://localhost/"
"""Never asked for: it is answered here. The address makes the page a secure context, which ``ImageDecoder`` needs."""
MOVES = (b"GIF8", b"acTL", b"ANIM", b"avis")
"""What a file that may have frames has near its start."""
LOAD = """async (told) => {
    window.files = await Promise.all(JSON.parse(told).map(async ([type, text, moves]) => {
        const answer = await fetch(`data:application/octet-stream;base64,${text}`);
        const bytes = new Uint8Array(await answer.arrayBuffer());
        const image = new Image();
        image.decoding = "sync";
        image.src = URL.createObjectURL(new Blob([bytes], { type }));
        const file = { image, width: 0, height: 0, frames: [] };
        try { await image.decode(); } catch { return file; }
        [file.width, file.height] = [image.naturalWidth, image.naturalHeight];
        if (moves) try {
            const decoder = new ImageDecoder({ data: bytes, type, preferAnimation: true });
            await decoder.tracks.ready;
            await decoder.completed;
            const count = decoder.tracks.selectedTrack.frameCount;
            for (let frameIndex = 0; count > 1 && frameIndex < count; frameIndex++) {
                const { image: frame } = await decoder.decode({ frameIndex });
                file.frames.push(await createImageBitmap(frame));
                frame.close();
            }
            decoder.close();
        } catch { /* what is wrong behind the first frame is never shown */ }
        return file;
    }));
    return window.files.map(({ width, height, frames }) => [width, height, frames.length]);
}"""
DRAW = """async (told) => {
    const drawn = JSON.parse(told).map(({ file, frame, background, left, top, width, height }) => {
        const { image, frames } = window.files[file];
        const cell = document.createElement("div");
        let picture = image.cloneNode();
        if (frames.length) {
            picture = document.createElement("canvas");
            [picture.width, picture.height] = [frames[frame].width, frames[frame].height];
            picture.getContext("2d").drawImage(frames[frame], 0, 0);
        }
        cell.style = `position:absolute;overflow:hidden;left:${left}px;top:${top}px;width:${width}px;` +
            `height:${height}px;background:${background}`;
        picture.style = `display:block;width:${width}px;height:${height}px`;
        cell.append(picture);
        return cell;
    });
    document.body.replaceChildren(...drawn);
    await Promise.all([...document.images].map((image) => image.decode()));
}"""


DECODE = """([type, text, slowMs]) => Promise.race([(async () => {
    const answer = await fetch(`data:application/octet-stream;base64,${text}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const image = new Image();
    const loaded = new Promise((resolve) => {
        [image.onload, image.onerror] = [() => resolve(true), () => resolve(false)];
    });
    image.src = URL.createObjectURL(new Blob([bytes], { type }));
    try {
        if (!await loaded || !image.naturalWidth) return "not";
        try { await image.decode(); } catch { return "with an error"; }
        if (!await ImageDecoder.isTypeSupported(type)) return "whole";
        const decoder = new ImageDecoder({ data: bytes, type });
        try { (await decoder.decode()).image.close(); } catch { return "with an error"; } finally { decoder.close(); }
        return "whole";
    } finally { URL.revokeObjectURL(image.src); }
})(), new Promise((resolve) => setTimeout(resolve, slowMs, "too slow"))])"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What Chromium says of a file: its size in pixels (0: it shows nothing), and how many frames it moves through."""

    width: int
    height: int
    frames: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One picture to look at: which file and frame, in which size in pixels, on which CSS colour."""

    file: int
    width: int
    height: int
    background: str
    frame: int = 0


class Browser:
    """Shows files; the ones loaded last are the ones that can be looked at."""

    def __init__(self, page: Page, session: CDPSession) -> None:
        self._page = page
        self._session = session

    def load(self, files: Sequence[tuple[str, bytes]]) -> list[Seen]:
        """Load files, each with its format (``jpeg``, ``png``, ...)."""
        texts = [
            (f"image/{image_format}", base64.b64encode(data).decode(), any(sign in data[:4096] for sign in MOVES))
            for image_format, data in files
        ]
        return [Seen(*found) for found in self._page.evaluate(LOAD, json.dumps(texts))]

    def decodes(self, content_type: str, data: bytes) -> Decoding:
        """Return whether a file is shown whole, is shown although its decoder tells an error, or is not shown.

        A browser that is ``too slow`` (20 s) goes on with it, so it is to be closed.
        """
        text = base64.b64encode(data).decode()
        found: Decoding = self._page.evaluate(DECODE, [content_type, text, PATIENCE_MS])
        return found

    def look(self, cells: Sequence[Cell]) -> list[Image.Image]:
        """Return what is shown in each cell, as ``RGB``."""
        found: dict[int, Image.Image] = {}
        for sheet in _sheets(cells):
            width = max(SHEET, *(left + cells[at].width for at, left, _ in sheet))
            height = max(top + cells[at].height for at, _, top in sheet)
            shot = self._shot(cells, sheet, width, height)
            for at, left, top in sheet:
                found[at] = shot.crop((left, top, left + cells[at].width, top + cells[at].height))
        return [found[at] for at in range(len(cells))]

    def _shot(self, cells: Sequence[Cell], sheet: list[tuple[int, int, int]], width: int, height: int) -> Image.Image:
        if self._page.viewport_size != {"width": width, "height": max(SHEET, height)}:
            self._page.set_viewport_size({"width": width, "height": max(SHEET, height)})
        drawn: list[dict[str, Any]] = [
            {
                "file": cells[at].file,
                "frame": cells[at].frame,
                "background": cells[at].background,
                "left": left,
                "top": top,
                "width": cells[at].width,
                "height": cells[at].height,
            }
            for at, left, top in sheet
        ]
        self._page.evaluate(DRAW, json.dumps(drawn))
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self._session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True, "clip": clip})
        return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


def executable() -> str | None:
    """Return the Chromium of this machine: the one that ``CHROMIUM`` names, or the first on ``PATH``."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def opened() -> Iterator[Browser]:
    """Start Chromium and end it; raises ``RuntimeError`` where there is none."""
    path = executable()
    if path is None:
        raise RuntimeError("no Chromium on PATH; name one in CHROMIUM")

    def answer(route: Route) -> None:
        if route.request.url == PAGE:
            route.fulfill(content_type="text/html", body="<!doctype html><body style='margin:0'>")
        else:
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=SLOW_MS)
        page = browser.new_context(viewport={"width": SHEET, "height": SHEET}).new_page()
        page.set_default_timeout(SLOW_MS)
        page.route("http://**/*", answer)
        page.goto(PAGE)
        yield Browser(page, page.context.new_cdp_session(page))
        browser.close()


def _sheets(cells: Sequence[Cell]) -> Iterator[list[tuple[int, int, int]]]:
    """Lay cells out in rows, highest first; yields the number of each cell with its left and top edge."""
    sheet: list[tuple[int, int, int]] = []
    left = top = bottom = 0
    for at in sorted(range(len(cells)), key=lambda at: -cells[at].height):
        cell = cells[at]
        if left and left + cell.width > SHEET:
            left, top = 0, bottom
        if sheet and top + cell.height > SHEET:
            yield sheet
            sheet, left, top, bottom = [], 0, 0, 0
        sheet.append((at, left, top))
        left += cell.width
        bottom = max(bottom, top + cell.height)
    if sheet:
        yield sheet
