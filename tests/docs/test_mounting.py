"""docs/how-to/mount.md quotes the example hosts, which the end-to-end tests run on the named servers."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.hosting import HOSTS

ROOT = Path(__file__).parents[2]
SHOWN = dict(
    re.findall(r"^`(examples/\S+)`:\n\n```\w+\n(.*?)^```", (ROOT / "docs/how-to/mount.md").read_text(), re.M | re.S)
)


def test_mounting_page_quotes_example_files_verbatim() -> None:
    assert len(SHOWN) >= 7
    for name, text in SHOWN.items():
        assert text == (ROOT / name).read_text(), name


def test_mounting_page_shows_every_host() -> None:
    parts = {"settings.py", "urls.py"}
    hosts = {str(path.relative_to(ROOT)) for path in (ROOT / "examples/hosts").rglob("*.*") if path.name not in parts}
    assert {name for name in hosts if not name.endswith(".pyc")} == set(SHOWN)


def test_mounting_example_is_tested_on_the_server_that_it_names() -> None:
    for name, text in SHOWN.items():
        if not name.endswith(".py"):
            continue
        named = re.search(r"``(\w+) (.*?)``", text)
        assert named, name
        server, words = named[1], set(named[2].split())
        commands = [options["command"].split() for options in HOSTS.values()]
        assert any(command[0] == server and words <= set(command) for command in commands), name
