"""The pages quote log lines, alerts and messages as they are in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import yaml

import mediagate.errors
from tests.support.deploy_samples import sample
from tests.support.pages import DOCS, PAGES, ROOT, first_column

PAGE = "docs/how-to/troubleshoot.md"
QUOTES = [
    (page, words)
    for page, text in PAGES.items()
    for quotes in re.findall(r'\blogs?(?: says)? ("[^"]+"(?: or "[^"]+")*)', text)
    for words in re.findall(r'"([^"]+)"', quotes)
]
TITLES = {path.read_text().partition("\n")[0].removeprefix("# ") for path in DOCS.rglob("*.md")}
SOURCES = [
    path
    for folder in ("service/mediagate", "plugins/mediagate_plugins")
    for path in (ROOT / folder).rglob("*.py")
    if "records/client" not in path.as_posix()
]


def texts(*, logged: bool = False) -> Iterator[str]:
    """Yield each string of the sources, or the text of each call that logs one."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and logged:
                if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "log" and node.args:
                    yield from (str(part.value) for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not logged:
                yield node.value


def test_pages_quote_lines_that_the_code_logs() -> None:
    assert len(QUOTES) >= 5
    logged = list(texts(logged=True))
    assert [(page, words) for page, words in QUOTES if not any(words in text for text in logged)] == []


def test_troubleshoot_page_has_a_row_for_each_alert_and_each_code_of_one() -> None:
    rules = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(sample("alerts.yml"))["groups"][0]["rules"]}
    named = first_column(PAGE)
    assert {name for name in named if name.startswith("Mediagate")} == set(rules)
    (codes,) = re.findall(r'code=~"([\w|]+)"', rules["MediagateUploadsRefused"])
    assert set(codes.split("|")) <= named


def test_troubleshoot_page_quotes_the_titles_of_errors() -> None:
    quoted = re.findall(r'`lastError` begins with "([^"]+)"', PAGES[PAGE])
    assert len(quoted) == 2
    for title in quoted:
        name = "".join(word.capitalize() for word in title.split())
        assert issubclass(getattr(mediagate.errors, name), mediagate.errors.MediagateError)


def test_messages_name_pages_by_their_titles() -> None:
    named = [title for text in texts() for title in re.findall(r'page\s"([^"]+)"\sof\s+the\s+documentation', text)]
    assert len(named) >= 5
    assert set(named) <= TITLES


def test_messages_name_no_path_of_a_page_since_the_wheel_has_none() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")}
    docstrings = {
        ast.get_docstring(node, clean=False)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert [text for text in texts() if text not in docstrings and any(page in text for page in pages)] == []
