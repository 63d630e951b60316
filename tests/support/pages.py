"""The pages of the documentation, and the code in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "THIRD_PARTY.md")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [*(ROOT / name for name in ROOT_PAGES), *sorted(DOCS.rglob("*.md"))]
    if "_build" not in path.parts
}


def python_blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGES[page], re.S)


def shell_blocks(page: str, heading: str) -> list[str]:
    """Return the indented blocks below a heading, up to the next heading."""
    text = PAGES[page].partition(f"\n{heading}\n")[2]
    assert text, f"{page} has no heading {heading}"
    section = re.split(r"^#", text, maxsplit=1, flags=re.M)[0]
    return [dedent(block) for block in re.findall(r"(?:^ {4}.*\n)+", section, re.M)]


def first_column(page: str) -> set[str]:
    """Return every name in backticks in the first column of a page's tables."""
    cells = re.findall(r"^\| (.*?) \|", PAGES[page], re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def write_files(page: str, folder: Path) -> dict[str, str]:
    """Write the blocks that begin with ``# name.py`` into a folder; blocks of one name follow one another."""
    files: dict[str, str] = {}
    for code in python_blocks(page):
        if name := re.match(r"# (\w+\.py)\n", code):
            files[name[1]] = files.get(name[1], "") + code
    for file, code in files.items():
        (folder / file).write_text(code)
    return files


def run_shell(commands: str, *, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of a page with bash in a folder, up to the first that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder, env=environment(PATH=path, **env), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "MEDIAGATE_IMAGE_PROCESSES": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


def run_python(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder with warnings as errors, and return its output."""
    return subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
