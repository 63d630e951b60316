"""Upload clients that people use, each as its page in examples/clients, against a real gate in a real browser."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from client_pages import bundle_pages
from moderators import GOOD, REJECTS
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect
from server import Server, running

SLOW_MS = 20_000
NOT_ALLOWED = "This picture is not allowed here."
NOT_A_PICTURE = "This file is not a picture that can be used here. Please choose another one."


@dataclass(frozen=True)
class Client:
    """Where a person looks and clicks, as CSS selectors."""

    complete: str
    message: str
    cancel: str
    delete: str
    input: str = "input[type=file]"
    message_is: str = ""
    """Attribute that holds the message; none: the text does."""
    sends: tuple[str, ...] = ("upload",)
    """Last segments of the paths of its upload requests."""


UPPY = Client(
    complete=".uppy-Dashboard-Item.is-complete:not(.is-error)",
    message=".uppy-Dashboard-Item-errorDetails",
    message_is="aria-label",
    cancel=".uppy-Dashboard-Item-action--remove",
    delete=".uppy-Dashboard-Item-action--remove",
    input=".uppy-Dashboard-input >> nth=0",
)
PLAIN = Client(complete="#avatar[src]", message="#message", cancel="#remove", delete="#remove", input="#photo")
CLIENTS = {
    "filepond": Client(
        complete="[data-filepond-item-state=processing-complete]",
        message=".filepond--file-status-main",
        cancel=".filepond--action-abort-item-processing",
        delete=".filepond--action-revert-item-processing",
    ),
    "uppy": UPPY,
    "uppy-direct": Client(**{**vars(UPPY), "sends": ("uploads", "content", "complete")}),
    "dropzone": Client(
        complete=".dz-preview.dz-success",
        message=".dz-preview.dz-error [data-dz-errormessage]",
        cancel=".dz-remove",
        delete=".dz-remove",
    ),
    "eventsource": PLAIN,
    "axios": PLAIN,
}
EACH = pytest.mark.parametrize("name", CLIENTS)


@dataclass(frozen=True)
class Steered:
    """The gate's process, and the files that steer it."""

    server: Server
    data_dir: Path

    def forget(self) -> None:
        """Start a test without refusals, held jobs and notes of others."""
        for name in ("busy", "hold", "requests"):
            (self.data_dir / name).unlink(missing_ok=True)

    def refuse(self, *refusals: tuple[str, int]) -> None:
        (self.data_dir / "busy").write_text(json.dumps(refusals))

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Keep jobs from being worked on for the length of a block."""
        (self.data_dir / "hold").touch()
        yield
        (self.data_dir / "hold").unlink()

    @property
    def received(self) -> list[tuple[float, str]]:
        """When (seconds) and where (last segment of the path) upload requests came, in their order."""
        lines = (self.data_dir / "requests").read_text().splitlines()
        return [(float(at), path.rpartition("/")[2]) for at, path in (line.split(" ", 1) for line in lines)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steered]:
    folder = tmp_path_factory.mktemp("clients")
    bundle_pages(folder / "pages")
    env = {"CLIENT_PAGES": str(folder / "pages"), "MEDIAGATE_IMAGE_PROCESSES": "1"}
    with running("clients_gate:gate", folder / "data", **env) as server:
        yield Steered(server, folder / "data")


@pytest.fixture
def gate(service: Steered) -> Steered:
    service.forget()
    return service


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, gate: Steered) -> Iterator[Open]:
    """Open a client's page; its scripts must not fail or ask another host."""
    faults: list[str] = []
    with contextlib.ExitStack() as contexts:

        def open_page(name: str, *, locale: str = "en-US") -> Page:
            context = browser.new_context(locale=locale)
            contexts.callback(context.close)
            context.set_default_timeout(SLOW_MS)
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", lambda asked: faults.append(asked.url) if is_foreign(asked.url, gate.server) else None)
            page.goto(f"{gate.server.url}/clients/{name}.html")
            page.wait_for_selector(CLIENTS[name].input, state="attached")
            return page

        yield open_page
    assert not faults


def is_foreign(url: str, server: Server) -> bool:
    return not url.startswith((server.url, "data:", "blob:"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture that passes, one that is rejected, and a text that is called a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (GOOD, 80), "teal").save(folder / "good.png")
    Image.new("RGB", (REJECTS, 80), "teal").save(folder / "rejected.png")
    (folder / "text.png").write_text("not a picture\n" * 100)
    return folder


def accepted(answer: Response) -> bool:
    return answer.status == 202 and answer.request.method == "POST"


def expect_message(page: Page, client: Client, message: str) -> None:
    shown = expect(page.locator(client.message))
    if client.message_is:
        shown.to_have_attribute(client.message_is, message, timeout=SLOW_MS)
    else:
        shown.to_have_text(message, timeout=SLOW_MS)


def expect_complete(page: Page, client: Client) -> str:
    """Wait until the client shows the picture, and return the URL of what it shows."""
    expect(page.locator(client.complete)).to_have_count(1, timeout=SLOW_MS)
    page.wait_for_function("document.querySelector('#avatar').naturalWidth > 0", timeout=SLOW_MS)
    return str(page.locator("#avatar").get_attribute("src"))


@EACH
def test_good_photo_is_shown_from_its_variant_url(name: str, opened: Open, gate: Steered, pictures: Path) -> None:
    page = opened(name)
    page.set_input_files(CLIENTS[name].input, pictures / "good.png")
    assert expect_complete(page, CLIENTS[name]).endswith("/sm.webp")
    assert tuple(path for _, path in gate.received) == CLIENTS[name].sends


@EACH
def test_rejected_picture_shows_the_message(name: str, opened: Open, pictures: Path) -> None:
    page = opened(name)
    page.set_input_files(CLIENTS[name].input, pictures / "rejected.png")
    expect_message(page, CLIENTS[name], NOT_ALLOWED)
    assert page.locator(CLIENTS[name].complete).count() == 0


@EACH
def test_file_that_is_not_a_picture_shows_the_message_and_is_sent_once(
    name: str, opened: Open, gate: Steered, pictures: Path
) -> None:
    page = opened(name)
    page.set_input_files(CLIENTS[name].input, pictures / "text.png")
    expect_message(page, CLIENTS[name], NOT_A_PICTURE)
    assert tuple(path for _, path in gate.received) == CLIENTS[name].sends


@EACH
def test_busy_gate_is_asked_again_after_retry_after(name: str, opened: Open, gate: Steered, pictures: Path) -> None:
    first = CLIENTS[name].sends[0]
    gate.refuse((first, 503), (first, 429))
    page = opened(name)
    page.set_input_files(CLIENTS[name].input, pictures / "good.png")
    expect_complete(page, CLIENTS[name])
    times = [at for at, path in gate.received if path == first]
    assert len(times) == 3
    assert all(later - earlier >= 1 for earlier, later in zip(times, times[1:], strict=False))


@EACH
def test_deleting_a_complete_picture_removes_its_job_and_files(
    name: str, opened: Open, gate: Steered, pictures: Path
) -> None:
    page = opened(name)
    with page.expect_response(accepted) as answer:
        page.set_input_files(CLIENTS[name].input, pictures / "good.png")
    url = httpx.URL(gate.server.url).join(expect_complete(page, CLIENTS[name]))
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        page.locator(CLIENTS[name].delete).click()
    assert deleted.value.status == 204
    status = httpx.get(httpx.URL(gate.server.url).join(answer.value.json()["statusUrl"]))
    assert (status.status_code, status.json()["code"]) == (410, "media_deleted")
    assert httpx.get(url).status_code == 404


@EACH
def test_cancelling_a_waiting_picture_cancels_its_job(name: str, opened: Open, gate: Steered, pictures: Path) -> None:
    page = opened(name)
    with gate.holding():
        with page.expect_response(accepted) as answer:
            page.set_input_files(CLIENTS[name].input, pictures / "good.png")
        status_url = httpx.URL(gate.server.url).join(answer.value.json()["statusUrl"])
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            page.locator(CLIENTS[name].cancel).click()
        status = httpx.get(status_url)
    assert (status.status_code, status.json()["status"]) == (410, "CANCELLED")


def test_uppy_retries_the_bytes_of_a_direct_upload(opened: Open, gate: Steered, pictures: Path) -> None:
    gate.refuse(("content", 503), ("complete", 503))
    page = opened("uppy-direct")
    page.set_input_files(CLIENTS["uppy-direct"].input, pictures / "good.png")
    expect_complete(page, CLIENTS["uppy-direct"])
    assert [path for _, path in gate.received] == ["uploads", "content", "content", "complete", "complete"]


def test_event_source_that_nobody_closes_ends_by_204(opened: Open, gate: Steered, pictures: Path) -> None:
    page = opened("eventsource")
    with page.expect_response(accepted) as answer:
        page.set_input_files(CLIENTS["eventsource"].input, pictures / "good.png")
    expect_complete(page, CLIENTS["eventsource"])
    url = answer.value.json()["statusUrl"]
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.url.endswith(url) else None)
    told = page.evaluate(
        """(url) => new Promise((resolve) => {
            const told = [], events = new EventSource(url)
            events.addEventListener('status', (event) => told.push(JSON.parse(event.data).status))
            events.addEventListener('error', () => events.readyState === EventSource.CLOSED && resolve(told))
        })""",
        url,
    )
    assert (told, statuses) == (["COMPLETE"], [200, 204])


def test_message_is_in_the_language_of_the_browser(opened: Open, pictures: Path) -> None:
    page = opened("dropzone", locale="de-DE")
    page.set_input_files(CLIENTS["dropzone"].input, pictures / "rejected.png")
    expect_message(page, CLIENTS["dropzone"], "Dieses Bild ist hier nicht erlaubt.")
