"""docs/how-to/browser-clients.md quotes the files of examples/clients, with the versions of the lock file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "how-to" / "browser-clients.md").read_text()
PAGES = sorted((ROOT / "examples" / "clients").iterdir())
PINNED = ROOT / "tests" / "e2e" / "clients"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_clients_page_quotes_each_example_verbatim(page: Path) -> None:
    assert f"`{page.name}`\n\n```{page.suffix[1:]}\n{page.read_text()}```\n" in DOCS


def test_clients_page_has_one_quotation_per_example() -> None:
    assert len(re.findall(r"^```(?:js|html)$", DOCS, re.M)) == len(PAGES)


def test_clients_table_has_the_versions_of_the_lock_file() -> None:
    locked = json.loads((PINNED / "package-lock.json").read_text())["packages"]
    listed = dict(re.findall(r"`([@\w/-]+)` (\d[\w.]*)", DOCS))
    installed = {name: locked[f"node_modules/{name}"]["version"] for name in locked[""]["dependencies"]}
    assert listed == {name: version for name, version in installed.items() if name != "esbuild"}


def test_clients_table_lists_the_packages_that_each_example_imports() -> None:
    rows = re.findall(r"^\| \[[\w, ]+\]\(#([\w-]+)\) \| (.*) \|$", DOCS, re.M)
    assert {name for name, _ in rows} == {page.stem for page in PAGES if page.suffix == ".html"}
    for name, packages in rows:
        script = (ROOT / "examples" / "clients" / f"{name}.js").read_text()
        imported = set(re.findall(r"^import [\w* ]+ from '([^.'][^']*)'$", script, re.M))
        assert imported == set(re.findall(r"`([@\w/-]+)`", packages)), name
