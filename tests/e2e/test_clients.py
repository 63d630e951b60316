"""Popular upload clients, each with its page in examples/clients, in a real browser against a real gate."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, Response, expect

from tests.support import loopback
from tests.support.client_pages import bundle_pages
from tests.support.moderators import GOOD, REJECTS
from tests.support.server import MOUNT, Server, running

SLOW_MS = 20_000
NOT_ALLOWED = "Dieses Bild ist hier nicht erlaubt."
NOT_A_PICTURE = "This file is not in a supported picture format. Please choose another one."


@dataclass(frozen=True)
class Client:
    """CSS selectors of what a user sees and clicks."""

    complete: str
    message: str
    cancel: str
    delete: str
    input: str = "input[type=file]"
    sends: tuple[str, ...] = ("upload",)
    """Last segments of the paths of its upload requests."""


UPPY = Client(
    complete=".uppy-Dashboard-Item.is-complete:not(.is-error)",
    message=".uppy-Informer [role=alert]",
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
        message=".dz-preview.dz-error .dz-error-message",
        cancel=".dz-remove",
        delete=".dz-remove",
    ),
    "eventsource": PLAIN,
    "axios": PLAIN,
}
EACH = pytest.mark.parametrize("name", CLIENTS)


@dataclass(frozen=True)
class Steered:
    """A gate in its own process, and the files that control it."""

    server: Server
    data_dir: Path
    page_origin: str
    """Origin of the pages that its clients run in."""

    def url_of(self, path: str) -> str:
        """Return the absolute URL of a path or URL in a response."""
        return str(httpx.URL(self.server.url).join(path))

    def forget(self) -> None:
        """Remove the refusals, held jobs and notes of earlier tests."""
        for name in ("busy", "hold", "requests"):
            (self.data_dir / name).unlink(missing_ok=True)

    def refuse(self, *refusals: tuple[str, int]) -> None:
        (self.data_dir / "busy").write_text(json.dumps(refusals))

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Keep jobs waiting for the length of a block."""
        (self.data_dir / "hold").touch()
        yield
        (self.data_dir / "hold").unlink()

    @property
    def received(self) -> list[tuple[float, str]]:
        """Upload requests in order of arrival: time in seconds, last segment of the path."""
        lines = (self.data_dir / "requests").read_text().splitlines()
        return [(float(at), path.rpartition("/")[2]) for at, path in (line.split(" ", 1) for line in lines)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    bundle_pages(folder)
    return folder


@pytest.fixture(scope="module")
def service(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steered]:
    data_dir = tmp_path_factory.mktemp("clients") / "data"
    with running("clients_gate:gate", data_dir, CLIENT_PAGES=str(pages), MEDIAGATE_IMAGE_PROCESSES="1") as server:
        yield Steered(server, data_dir, f"http://127.0.0.1:{server.port}")


@pytest.fixture
def gate(service: Steered) -> Steered:
    service.forget()
    return service


@pytest.fixture(scope="module")
def service_elsewhere(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steered]:
    """A gate whose pages have a different origin and use its absolute URL."""
    folder = tmp_path_factory.mktemp("elsewhere")
    server = Server("clients_gate:gate", folder / "data")
    shutil.copytree(pages, folder / "pages")
    for script in (folder / "pages").glob("*.js"):
        script.write_text(script.read_text().replace("/image-pipeline/", f"{server.url}/"))
    try:
        server.start(
            CLIENT_PAGES=str(folder / "pages"),
            MEDIAGATE_PUBLIC_BASE_URL=server.url,
            MEDIAGATE_IMAGE_PROCESSES="1",
            CORS_ORIGINS=f"http://localhost:{server.port}",
        )
        yield Steered(server, folder / "data", f"http://localhost:{server.port}")
    finally:
        server.stop()


@pytest.fixture
def gate_elsewhere(service_elsewhere: Steered) -> Steered:
    service_elsewhere.forget()
    return service_elsewhere


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Open a client's page; its scripts must not fail or contact another host."""
    faults: list[str] = []
    with contextlib.ExitStack() as contexts:

        def open_page(name: str, gate: Steered, *, locale: str = "en-US") -> Page:
            def note_foreign(asked: Request) -> None:
                if not asked.url.startswith((gate.server.url, gate.page_origin, "data:", "blob:")):
                    faults.append(asked.url)

            context = browser.new_context(locale=locale)
            contexts.callback(context.close)
            context.set_default_timeout(SLOW_MS)
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("request", note_foreign)
            page.goto(f"{gate.page_origin}{MOUNT}/clients/{name}.html")
            page.wait_for_selector("input[type=file]", state="attached")
            return page

        yield open_page
    assert not faults


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an allowed picture, a rejected picture and a text file named like a picture."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (GOOD, 80), "teal").save(folder / "good.png")
    Image.new("RGB", (REJECTS, 80), "teal").save(folder / "rejected.png")
    (folder / "text.png").write_text("not a picture\n" * 100)
    return folder


def accepted(answer: Response) -> bool:
    return answer.status == 202 and answer.request.method == "POST"


def deleted(answer: Response) -> bool:
    return answer.status == 204 and answer.request.method == "DELETE"


def expect_message(page: Page, client: Client, message: str) -> None:
    expect(page.locator(client.message, has_text=message).first).to_be_visible(timeout=SLOW_MS)


def expect_complete(page: Page, client: Client) -> str:
    """Wait until the client shows the picture, and return its URL."""
    expect(page.locator(client.complete)).to_have_count(1, timeout=SLOW_MS)
    page.wait_for_function("document.querySelector('#avatar').naturalWidth > 0", timeout=SLOW_MS)
    return str(page.locator("#avatar").get_attribute("src"))


@EACH
def test_good_photo_is_shown_and_its_deletion_removes_it(
    name: str, opened: Open, gate: Steered, pictures: Path
) -> None:
    client, page = CLIENTS[name], opened(name, gate)
    with page.expect_response(accepted) as answer:
        page.set_input_files(client.input, pictures / "good.png")
    shown = expect_complete(page, client)
    assert shown.endswith("/sm.webp")
    assert tuple(path for _, path in gate.received) == client.sends
    with page.expect_response(deleted):
        page.locator(client.delete).click()
    status = loopback.get(gate.url_of(answer.value.json()["statusUrl"]))
    assert (status.status_code, status.json()["code"]) == (410, "media_deleted")
    assert loopback.get(gate.url_of(shown)).status_code == 404


@EACH
def test_rejected_picture_shows_a_message_in_the_browser_language(
    name: str, opened: Open, gate: Steered, pictures: Path
) -> None:
    client, page = CLIENTS[name], opened(name, gate, locale="de-DE")
    page.set_input_files(client.input, pictures / "rejected.png")
    expect_message(page, client, NOT_ALLOWED)
    assert page.locator(client.complete).count() == 0


@EACH
def test_non_picture_shows_a_message_and_is_sent_once(name: str, opened: Open, gate: Steered, pictures: Path) -> None:
    client, page = CLIENTS[name], opened(name, gate)
    page.set_input_files(client.input, pictures / "text.png")
    expect_message(page, client, NOT_A_PICTURE)
    # A direct upload is refused when its bytes arrive, so there is nothing to complete.
    assert tuple(path for _, path in gate.received) == client.sends[:2]


@EACH
def test_client_retries_a_busy_gate_of_another_origin_after_retry_after(
    name: str, opened: Open, gate_elsewhere: Steered, pictures: Path
) -> None:
    client, gate = CLIENTS[name], gate_elsewhere
    gate.refuse((client.sends[0], 503), (client.sends[0], 429))
    page = opened(name, gate)
    page.set_input_files(client.input, pictures / "good.png")
    expect_complete(page, client)
    times = [at for at, path in gate.received if path == client.sends[0]]
    assert len(times) == 3
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))


@EACH
def test_client_cancel_cancels_the_waiting_job(name: str, opened: Open, gate: Steered, pictures: Path) -> None:
    client, page = CLIENTS[name], opened(name, gate)
    with gate.holding():
        with page.expect_response(accepted) as answer:
            page.set_input_files(client.input, pictures / "good.png")
        with page.expect_response(deleted):
            page.locator(client.cancel).click()
        status = loopback.get(gate.url_of(answer.value.json()["statusUrl"]))
    assert (status.status_code, status.json()["status"]) == (410, "CANCELLED")


def test_dropzone_uploads_a_photo_that_the_browser_cannot_preview(opened: Open, gate: Steered, data: Path) -> None:
    client, page = CLIENTS["dropzone"], opened("dropzone", gate)
    page.evaluate("() => document.querySelector('#photos').dropzone.on('error', () => { window.failed = true })")
    page.set_input_files(client.input, data / "formats" / "arrow.heic")
    expect_complete(page, client)
    page.wait_for_function("window.failed")
    assert page.locator(".dz-preview.dz-error").count() == 0


def test_plain_filepond_uploads_and_shows_messages(opened: Open, gate: Steered, pictures: Path) -> None:
    page = opened("filepond-plain", gate)
    for name, shown in (("good.png", "Upload complete"), ("text.png", NOT_A_PICTURE)):
        page.set_input_files(CLIENTS["filepond"].input, pictures / name)
        expect_message(page, CLIENTS["filepond"], shown)


def test_uppy_retries_content_and_complete_of_a_direct_upload(opened: Open, gate: Steered, pictures: Path) -> None:
    gate.refuse(("content", 503), ("complete", 503))
    client, page = CLIENTS["uppy-direct"], opened("uppy-direct", gate)
    page.set_input_files(client.input, pictures / "good.png")
    expect_complete(page, client)
    assert [path for _, path in gate.received] == ["uploads", "content", "content", "complete", "complete"]


@pytest.mark.parametrize("cleared", [True, False])
def test_uppy_destroy_deletes_its_pictures_unless_cleared(
    cleared: bool, opened: Open, gate: Steered, pictures: Path
) -> None:
    page = opened("uppy", gate)
    page.set_input_files(CLIENTS["uppy"].input, pictures / "good.png")
    shown = expect_complete(page, CLIENTS["uppy"])
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.evaluate(
        """async ([cleared, url]) => {
            const { uppy } = await import('./uppy.js')
            if (cleared) uppy.clear()
            uppy.destroy()
            await fetch(url)
        }""",
        [cleared, shown],
    )
    assert ("DELETE" in asked) is not cleared


def test_unclosed_event_source_ends_with_204(opened: Open, gate: Steered, pictures: Path) -> None:
    page = opened("eventsource", gate)
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
