"""What the service says to one file, and what Chromium does with it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from playwright.sync_api import Error

from tests.support import loopback
from tests.support.showing.browser import Decoding, opened

Shown = Literal[Decoding, "crashed"]
"""``crashed`` and ``too slow`` ended Chromium."""
NO_ANSWER = "no answer"
SLOW_S = 120.0
"""After so long without an answer the service counts as hanging."""
SIGNATURES = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"GIF8": "gif",
    b"RIFF": "webp",
    b"BM": "bmp",
    b"\0\0\1\0": "x-icon",
    b"<svg": "svg+xml",
    b"<?xml": "svg+xml",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a file ended: ``COMPLETE``, a refusal such as ``415 unsupported_type``, or ``FAILED`` with its code."""

    end: str
    detail: str = ""
    fault: bool = False
    """Whether it is the service's: nothing was answered, or the same file could be tried again."""


class Client:
    """Sends files to a running service, from any number of threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = loopback.client(timeout=SLOW_S)

    def close(self) -> None:
        self._http.close()

    def send(self, path: Path) -> Outcome:
        """Upload a file, wait for the end of its job, and delete what was published."""
        try:
            return self._sent(path.read_bytes())
        except httpx.HTTPError as exc:
            return Outcome(NO_ANSWER, repr(exc), fault=True)

    def _sent(self, data: bytes) -> Outcome:
        fields = {"sourceType": "avatar", "sourceId": "corpus"}
        answer = self._http.post(f"{self._url}/upload", data=fields, files={"file": ("picture", data)})
        told: dict[str, Any] = answer.json()
        if answer.status_code != 202:
            return Outcome(f"{answer.status_code} {told['code']}", told["detail"], fault=told["retryable"])
        status: dict[str, Any] = {"status": "PENDING"}
        while status["status"] in ("PENDING", "PROCESSING"):
            asked = {"http": "200", "wait": "60"}
            status = self._http.get(f"{self._url}/status/{told['jobId']}", params=asked).json()
        if status["status"] == "COMPLETE":
            self._http.delete(f"{self._url}/media/{status['media']['id']}").raise_for_status()
            return Outcome("COMPLETE")
        return Outcome(f"{status['status']} {status['code']}", status["error"], fault=bool(status["retryable"]))


class Viewer:
    """A headless Chromium that is started anew when a file ends it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._browser = self._stack.enter_context(opened())

    def close(self) -> None:
        self._stack.close()

    def show(self, path: Path) -> Shown:
        """Return whether Chromium shows a file whole, shows it although decoding it ends with an error, or not."""
        data = path.read_bytes()
        try:
            shown: Shown = self._browser.decodes(f"image/{content_of(data)}", data)
        except Error:
            shown = "crashed"
        if shown in ("crashed", "too slow"):
            self._stack.close()
            self._browser = self._stack.enter_context(opened())
        return shown


def content_of(data: bytes) -> str:
    """Return the subtype of the content type that the first bytes stand for."""
    if data[4:8] == b"ftyp":
        return "avif"
    return next((name for begin, name in SIGNATURES.items() if data.lstrip().startswith(begin)), "png")
