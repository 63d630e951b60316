"""The query engine's runtime: the first on PATH that is new enough, otherwise that of an extra."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediagate.errors import ConfigError
from mediagate.records import PrismaRecords, describe_engine, runtime
from mediagate.records.runtime import OLDEST, Runtime, describe_runtime, find_runtime
from tests.support.runtimes import first_on_path, packaged

DENO = "deno 2.9.8 (stable, release, x86_64-unknown-linux-gnu)\nv8 15.0.245.2-rusty\ntypescript 6.0.3"
OLD_DENO = "deno 2.8.3 (stable, release, x86_64-unknown-linux-gnu)\nv8 14.9.207.2-rusty"


@pytest.fixture(autouse=True)
def fresh_search() -> Iterator[None]:
    find_runtime.cache_clear()
    yield
    find_runtime.cache_clear()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below which all folders on PATH are: ``first`` and ``second``."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    return tmp_path


@pytest.fixture
def no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_packaged_deno", lambda: None)
    monkeypatch.setattr(runtime, "_packaged_node", lambda: None)


def put(program: Path, version: str) -> Path:
    """Write a program that prints a version."""
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    return program


def engine_folders(temporary: Path) -> list[Path]:
    return list(temporary.glob("mediagate-*"))


@pytest.mark.parametrize(("name", "printed"), [("deno", DENO), ("node", "v22.16.0")])
def test_runtime_on_path_precedes_the_extras(path: Path, name: str, printed: str) -> None:
    program = put(path / "second" / name, printed)
    found = find_runtime()
    assert (found.name, found.program, found.origin) == (name, program, "PATH")


def test_first_folder_on_path_decides_between_runtimes(path: Path) -> None:
    put(path / "second" / "deno", DENO)
    node = put(path / "first" / "node", "v24.17.0")
    assert find_runtime() == Runtime("node", node, (24, 17, 0), "PATH")


def test_deno_precedes_node_in_one_folder(path: Path) -> None:
    put(path / "first" / "node", "v24.17.0")
    deno = put(path / "first" / "deno", DENO)
    assert find_runtime() == Runtime("deno", deno, (2, 9, 8), "PATH")


@pytest.mark.parametrize(("name", "printed"), [("deno", OLD_DENO), ("node", "v22.15.9"), ("node", "v18.20.4")])
def test_older_runtime_on_path_is_skipped_with_a_log_line(
    path: Path, caplog: pytest.LogCaptureFixture, name: str, printed: str
) -> None:
    older = put(path / "first" / name, printed)
    node = put(path / "second" / "node", "v22.16.0")
    with caplog.at_level(logging.INFO, "mediagate.records"):
        assert find_runtime().program == node
    (line,) = caplog.messages
    assert str(older) in line and printed.split()[-1 if name == "node" else 1].removeprefix("v") in line
    assert ".".join(map(str, OLDEST["deno" if name == "deno" else "node"])) in line


def test_folder_that_is_twice_on_path_is_searched_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(path / "first" / "node", "v18.20.4")
    (path / "again").symlink_to("first")
    monkeypatch.setenv("PATH", f"{path / 'first'}:{path / 'again'}")
    with caplog.at_level(logging.INFO, "mediagate.records"):
        find_runtime()
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "\x7fELF"])
def test_broken_program_on_path_is_skipped(path: Path, content: str) -> None:
    put(path / "first" / "deno", "").write_text(content)
    node = put(path / "second" / "node", "v22.16.0")
    assert find_runtime().program == node


@pytest.mark.usefixtures("path")
def test_extra_deno_precedes_the_extra_node() -> None:
    found = find_runtime()
    assert (found.name, found.program, found.origin) == ("deno", packaged("deno"), "mediagate[deno]")
    assert found.version >= OLDEST["deno"]


@pytest.mark.usefixtures("path")
def test_extra_node_is_used_without_the_extra_deno(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deno", None)
    found = find_runtime()
    assert (found.name, found.program, found.origin) == ("node", packaged("node"), "mediagate[node]")


@pytest.mark.usefixtures("no_extras")
@pytest.mark.parametrize("older", [{}, {"node": "v18.20.4"}, {"deno": OLD_DENO, "node": "v22.15.9"}])
def test_missing_runtime_error_names_all_remedies(path: Path, older: dict[str, str]) -> None:
    programs = [put(path / "first" / name, printed) for name, printed in older.items()]
    with pytest.raises(ConfigError) as caught:
        find_runtime()
    said = caught.value.detail
    assert caught.value.code == "config_error"
    for way in ('pip install "mediagate[deno]"', '"mediagate[node]"', "Deno 2.9", "Node 22.16", "PATH"):
        assert way in said
    assert "PRISMA_QUERY_ENGINE_BINARY" in said
    assert all(str(program) in said for program in programs)


@pytest.mark.anyio
@pytest.mark.usefixtures("no_extras", "path")
async def test_records_without_a_runtime_do_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    records = PrismaRecords(f"file:{tmp_path / 'records.db'}", migrate=True)
    with pytest.raises(ConfigError, match=r"mediagate\[deno\]"):
        await records.open()
    assert engine_folders(tmp_path) == []


@pytest.mark.anyio
async def test_records_with_a_comma_in_their_path_do_not_open_under_deno(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", first_on_path("deno"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    records = PrismaRecords(f"file:{tmp_path / 'a,b.db'}", migrate=True)
    with pytest.raises(ConfigError, match="comma"):
        await records.open()
    assert engine_folders(tmp_path) == []


def test_description_names_runtime_version_and_origin(path: Path) -> None:
    program = put(path / "first" / "deno", DENO)
    assert describe_runtime() == f"Deno 2.9.8 from PATH: {program}"


@pytest.mark.parametrize(("version", "fixed"), [("v22.22.9", False), ("v22.23.0", True), ("v24.17.0", True),
                                                ("v23.11.0", False), ("v26.3.0", True), ("v27.0.0", True)])  # fmt: skip
def test_description_refuses_a_node_with_known_vulnerabilities(path: Path, version: str, fixed: bool) -> None:
    put(path / "first" / "node", version)
    if fixed:
        assert version[1:] in describe_runtime()
        return
    with pytest.raises(ConfigError, match="known vulnerabilities"):
        describe_runtime()


def test_description_is_that_of_the_configured_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "database_engine_url" in describe_engine(PrismaRecords("file:x.db", engine_url="http://127.0.0.1:1/").client)
    monkeypatch.setenv("PRISMA_QUERY_ENGINE_BINARY", "/opt/engine")
    assert "/opt/engine" in describe_engine(PrismaRecords("file:x.db").client)
