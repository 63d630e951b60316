"""Pages of named origins use ``mediagate serve`` with the cookies of their users."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser

from tests.support import loopback
from tests.support.pages import PAGES
from tests.support.server import Server, running

COOKIE = {"Cookie": "session=user-1"}
CREDENTIALS, ORIGIN, EXPOSED = (
    f"Access-Control-{name}" for name in ("Allow-Credentials", "Allow-Origin", "Expose-Headers")
)
LIVES = """async ([base, photo]) => {
    const bytes = await (await fetch(`data:image/jpeg;base64,${photo}`)).blob();
    const ask = async (path, options) => {
        const answer = await fetch(path.startsWith("/") ? new URL(path, base) : `${base}/${path}`,
            { credentials: "include", ...options });
        const text = await answer.text();
        const headers = Object.fromEntries(answer.headers);
        return { status: answer.status, headers, json: text ? JSON.parse(text) : null };
    };
    const form = new FormData();
    form.append("sourceType", "avatar");
    form.append("sourceId", "user-1");
    form.append("file", bytes, "a.jpg");
    const sent = await ask("upload", { method: "POST", body: form, headers: { "Idempotency-Key": "once" } });
    const done = await ask(`${sent.headers.location}?wait=30`);
    const declared = await ask("uploads", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ sourceType: "avatar", sourceId: "user-1", size: bytes.size, contentType: "image/jpeg" }),
    });
    const put = await ask(declared.json.url, { method: "PUT", body: bytes, headers: declared.json.headers });
    const completed = await ask(declared.json.completeUrl, { method: "POST" });
    const deleted = await ask(`media/${done.json.media.id}`, { method: "DELETE" });
    return { sent, done, put, completed, deleted };
}"""


class Blank(BaseHTTPRequestHandler):
    """Serves an empty page from another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def page_origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as pages:
        Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{pages.server_port}"
        pages.shutdown()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, page_origin: str) -> Iterator[Server]:
    options = ("--cors-origins", f"{page_origin}, https://app.example.com", "--cors-credentials")
    env = {"MEDIAGATE_IMAGE_PROCESSES": "1", "MEDIAGATE_ALLOWED_ORIGINS": "https://old.example.com"}
    with running("cookie_gate:gate", tmp_path_factory.mktemp("cors") / "data", options=options, **env) as server:
        yield server


def test_cors_page_of_named_origin_uploads_reads_and_deletes_with_cookies(
    service: Server, page_origin: str, browser: Browser, photo: bytes
) -> None:
    with browser.new_context() as context:
        context.add_cookies([{"name": "session", "value": "user-1", "url": service.url, "sameSite": "Lax"}])
        page = context.new_page()
        page.goto(page_origin)
        told = page.evaluate(LIVES, [service.url, base64.b64encode(photo).decode()])
    assert {name: answer["status"] for name, answer in told.items()} == {
        "sent": 202, "done": 200, "put": 204, "completed": 202, "deleted": 204,
    }  # fmt: skip
    assert {"location", "retry-after", "mediagate-job-status"} <= set(told["sent"]["headers"])
    assert told["done"]["headers"]["mediagate-job-status"] == "COMPLETE"
    assert "etag" in told["done"]["headers"]


def script_of(page: str) -> str:
    """Return the only script of a page of the documentation."""
    (script,) = re.findall(r"```js\n(.*?)```", PAGES[page], re.S)
    return str(script).strip()


def test_documented_upload_with_cookies_is_accepted(
    service: Server, page_origin: str, browser: Browser, photo: bytes
) -> None:
    documented = "https://media.example.com/image-pipeline"
    script = script_of("docs/how-to/cookie-sessions.md")
    assert documented in script
    with browser.new_context() as context:
        context.add_cookies([{"name": "session", "value": "user-1", "url": service.url, "sameSite": "Lax"}])
        page = context.new_page()
        page.goto(page_origin)
        status = page.evaluate(
            f"""async (photo) => {{
                const form = new FormData();
                form.append("sourceType", "avatar");
                form.append("sourceId", "user-1");
                form.append("file", await (await fetch(`data:image/jpeg;base64,${{photo}}`)).blob(), "a.jpg");
                const answer = {script.replace(documented, service.url)};
                return answer.status;
            }}""",
            base64.b64encode(photo).decode(),
        )
    assert status == 202


def test_documented_event_source_shows_each_status(service: Server, browser: Browser, photo: bytes) -> None:
    sent = service.upload("a.jpg", photo, **COOKIE).json()
    with browser.new_context() as context:
        context.add_cookies([{"name": "session", "value": "user-1", "url": service.url, "sameSite": "Lax"}])
        page = context.new_page()
        page.goto(f"{service.url}/healthz")
        shown = page.evaluate(
            f"""(statusUrl) => new Promise((resolve) => {{
                const seen = [], show = (status) => {{
                    seen.push(status.status);
                    if (status.status === "COMPLETE") resolve(seen);
                }};
                {script_of("docs/reference/http.md")}
            }})""",
            sent["statusUrl"],
        )
    assert shown[-1] == "COMPLETE"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://app.example.com", 202), ("https://old.example.com", 202), ("https://evil.example", 403)],
)
def test_upload_with_cookies_is_accepted_from_named_origins_only(
    service: Server, photo: bytes, origin: str, status: int
) -> None:
    answer = service.upload("a.jpg", photo, Origin=origin, **{"Sec-Fetch-Site": "cross-site"}, **COOKIE)
    assert answer.status_code == status
    assert answer.headers.get(ORIGIN) == (origin if origin == "https://app.example.com" else None)
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_preflight_is_answered_and_cached_for_named_origins_only(service: Server, method: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type,idempotency-key"}
    answer = loopback.options(f"{service.url}/uploads", headers=asked | {"Origin": "https://app.example.com"})
    assert (answer.status_code, answer.headers[ORIGIN]) == (200, "https://app.example.com")
    assert answer.headers[CREDENTIALS] == "true"
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type,idempotency-key"
    assert int(answer.headers["Access-Control-Max-Age"]) >= 3600
    refused = loopback.options(f"{service.url}/uploads", headers=asked | {"Origin": "https://evil.example"})
    assert refused.status_code == 400
    assert ORIGIN not in refused.headers


def test_cors_exposes_the_headers_that_scripts_read(service: Server) -> None:
    answer = loopback.get(f"{service.url}/jobs", headers=COOKIE | {"Origin": "https://app.example.com"})
    named = set(answer.headers[EXPOSED].split(", "))
    assert {"Location", "Retry-After", "Mediagate-Job-Status", "ETag", "RateLimit", "RateLimit-Policy"} <= named
    assert "*" not in named


@pytest.mark.parametrize("origins", ["https://app.example.com", "*"])
def test_cors_without_credentials_refuses_cookies(tmp_path: Path, photo: bytes, origins: str) -> None:
    with running("cookie_gate:gate", tmp_path / "data", options=("--cors-origins", origins)) as service:
        headers = {"Origin": "https://app.example.com", "Sec-Fetch-Site": "cross-site"}
        answer = service.upload("a.jpg", photo, **headers, **COOKIE)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site_request")
    assert answer.headers[ORIGIN] == origins
    assert answer.headers[EXPOSED] == "*"
    assert CREDENTIALS not in answer.headers
