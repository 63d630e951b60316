"""The wheel: what it contains of others, and that each of these comes with its licence."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.wheels import ROOT

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = json.loads((ROOT / "query_engine" / "package-lock.json").read_text())["packages"]
"""The npm packages of the build, by folder."""
ENGINE = "mediagate/records/query_engine"
UNNAMED = {"esbuild", "@prisma/client", "kleur"}
"""Packages that no comment of the bundle names: its helpers, the engine beside it, and a part of `@prisma/debug`."""


@dataclass(frozen=True)
class Wheel:
    names: list[str]
    metadata: Message
    bundle: str
    licences: dict[str, str]
    """The texts below ``dist-info/licenses``, by path."""


@pytest.fixture(scope="module")
def wheel(built_wheel: Path) -> Wheel:
    with ZipFile(built_wheel) as file:
        (metadata,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        folder = metadata.replace("METADATA", "licenses/")
        return Wheel(
            file.namelist(),
            Parser().parsestr(file.read(metadata).decode()),
            file.read(f"{ENGINE}/query-engine.cjs").decode(),
            {
                name.removeprefix(folder): file.read(name).decode()
                for name in file.namelist()
                if name.startswith(folder)
            },
        )


def bundled(bundle: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and licence of each npm package in the wheel, by the comments of the bundle."""
    named = set(re.findall(r"^// \S*?(node_modules/(?:\S*/node_modules/)?(?:@[^/]+/)?[^/\s]+)/", bundle, re.M))
    for folder in named | {f"node_modules/{name}" for name in UNNAMED}:
        pinned = PINNED[folder]
        yield folder.rpartition("node_modules/")[2], pinned["version"], pinned["license"]


def test_wheel_has_the_licence_text_of_each_bundled_npm_package(wheel: Wheel) -> None:
    expected = {(name, version) for name, version, _ in bundled(wheel.bundle)}
    assert {"pg", "@prisma/adapter-pg", "postgres-array"} < {name for name, _ in expected}
    texts = [path.removeprefix("third_party/npm/") for path in wheel.licences if path.startswith("third_party/npm/")]
    assert {tuple(path.rsplit("/", 2)[:2]) for path in texts} == expected


def test_wheel_has_the_licence_text_of_the_python_client(wheel: Wheel) -> None:
    (required,) = (each for each in PROJECT["build-system"]["requires"] if each.startswith("prisma=="))
    text = wheel.licences[f"third_party/pypi/prisma/{required.removeprefix('prisma==')}/LICENSE"]
    assert re.match(r"\s+Apache License\s+Version 2\.0", text)


def test_licence_texts_name_their_licence(wheel: Wheel) -> None:
    starts = {"MIT": "permission is hereby granted", "ISC": "permission to use, copy", "Apache-2.0": "apache license"}
    for name, version, licence in bundled(wheel.bundle):
        texts = [text for path, text in wheel.licences.items() if path.startswith(f"third_party/npm/{name}/{version}/")]
        words = " ".join(" ".join(texts).split()).lower()
        assert starts[licence] in words, name
        assert "copyright" in words, name


def test_wheel_metadata_lists_each_licence_file(wheel: Wheel) -> None:
    listed = wheel.metadata.get_all("License-File") or []
    assert sorted(listed) == sorted(wheel.licences)
    assert {"LICENSE", "THIRD_PARTY.md"} < set(listed)


def test_licence_expression_covers_everything_in_the_wheel(wheel: Wheel) -> None:
    licences = {"MIT", "Apache-2.0"} | {licence for *_, licence in bundled(wheel.bundle)}
    assert set(wheel.metadata["License-Expression"].split(" AND ")) == licences


def test_wheel_contains_nothing_else_of_others(wheel: Wheel) -> None:
    """Files that are not in the repository are the generated client, the bundle and the engine beside it."""
    sources = {"mediagate": ROOT / "service", "mediagate_plugins": ROOT / "plugins"}
    made = [name for name in wheel.names if name.startswith((f"{ENGINE}/", "mediagate/records/client/"))]
    rest = [name for name in wheel.names if name not in made and ".dist-info/" not in name]
    assert [name for name in rest if not (sources[name.partition("/")[0]] / name).is_file()] == []
    assert {name.rpartition("/")[2] for name in made if name.startswith(ENGINE)} == {
        "inputs.sha256",
        "query-engine.cjs",
        *(f"query_engine_bg.{kind}.{end}" for kind in ("sqlite", "postgresql") for end in ("cjs", "wasm")),
    }
    assert {Path(name).suffix for name in made if not name.startswith(ENGINE)} == {".py", ".prisma", ".typed"}


def test_wheel_has_each_model_with_its_licence_and_its_sum(wheel: Wheel, built_wheel: Path) -> None:
    page = (ROOT / "THIRD_PARTY.md").read_text()
    listed = dict(re.findall(r"`([\w.]+)` \| (\S+) \| in the wheel;", page.partition("## Models")[2]))
    models = {name.rpartition("/")[2]: name for name in wheel.names if name.endswith((".onnx", ".tflite"))}
    assert set(listed) == set(models) and len(models) == 2
    with ZipFile(built_wheel) as file:
        for name, path in models.items():
            folder = path.rpartition("/")[0]
            sums = file.read(f"{folder}/SHA256SUMS").decode().split()
            assert sums[sums.index(name) - 1] == sha256(file.read(path)).hexdigest()
            text = " ".join(wheel.licences[f"service/{folder}/{name.partition('.')[0]}.LICENSE.txt"].split()).lower()
            assert {"MIT": "permission is hereby granted", "Apache-2.0": "apache license version 2.0"}[
                listed[name]
            ] in text


def test_third_party_page_lists_what_is_in_the_wheel(wheel: Wheel) -> None:
    page = (ROOT / "THIRD_PARTY.md").read_text()
    table = page.partition("## In the wheel")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\S+) \| (\S+) \|", table, re.M)
    (client,) = (path for path in wheel.licences if path.startswith("third_party/pypi/"))
    _, _, name, version, _ = client.split("/")
    assert sorted(rows) == sorted([(name, version, "Apache-2.0"), *bundled(wheel.bundle)])


def test_third_party_page_names_every_dependency() -> None:
    page = (ROOT / "THIRD_PARTY.md").read_text()
    project = PROJECT["project"]
    extras = [each for name, each in project["optional-dependencies"].items() if name != "all"]
    required = [line for lines in [project["dependencies"], *extras] for line in lines]
    names = {re.split(r"[^\w-]", line)[0] for line in required} - {"mediagate"}
    assert {name for name in names if f"`{name}`" not in page} == set()
