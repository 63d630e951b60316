"""The built site: its pages work from files, its search too, and the copies of its Markdown have working links."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import expect

from tests.support.demo_browser import chromium
from tests.support.pages import DOCS, PAGES, ROOT

pytestmark = pytest.mark.slow

LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it."""
    pytest.importorskip("sphinx", reason="no Sphinx: install it with `make docs`")
    folder = tmp_path_factory.mktemp("site")
    words = ["--quiet", "--fail-on-warning", "--keep-going", "-d", str(folder / "doctrees"), str(DOCS)]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(folder / "html")],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_site_loads_from_files_only_and_its_search_works(site: Path) -> None:
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "how-to/size", "project/changelog", "explanation/benchmarks"):
            page.goto((site / f"{name}.html").as_uri())
            expect(page.locator("article h1")).to_be_visible()
        page.locator("form.sidebar-search-container input[name=q]").fill("quarantine")
        page.keyboard.press("Enter")
        expect(page.locator("#search-results ul.search li a").first).to_be_visible(timeout=30_000)
        page.locator("#search-results ul.search li a").first.click()
        expect(page.locator("article h1")).to_be_visible()
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_copies_of_markdown_link_to_files_of_the_site(site: Path) -> None:
    copies = sorted([*site.rglob("*.md"), site / "llms.txt"])
    assert len(copies) > 80
    links = [(copy, target) for copy in copies for target in LINK.findall(copy.read_text())]
    dead = [
        f"{copy.relative_to(site)}: {target}" for copy, target in links if not (copy.parent / unquote(target)).exists()
    ]
    assert len(links) > 400
    assert dead == []


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("explanation/benchmarks", "bench/README.md"),
        ("project/changelog", "CHANGELOG.md"),
        ("project/contributing", "CONTRIBUTING.md"),
        ("project/security", "SECURITY.md"),
        ("project/third-party", "THIRD_PARTY.md"),
    ],
)
def test_page_of_a_file_outside_the_site_is_that_file(site: Path, page: str, file: str) -> None:
    title = (ROOT / file).read_text().partition("\n")[0]
    assert PAGES[f"docs/{page}.md"].count("\n") == 3
    copied = (site / f"{page}.md").read_text()
    assert copied.startswith(title) and len(copied.splitlines()) == len((ROOT / file).read_text().splitlines())
    assert f"<h1>{title.removeprefix('# ')}<" in (site / f"{page}.html").read_text()
