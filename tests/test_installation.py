"""What README's first screen installs: at most 350 MB, without OpenCV, and nothing under the AGPL."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.utils import canonicalize_name

from tests.support.requirements import installed_with
from tests.support.wheels import ROOT

MOST_MB = 350


def first_screen() -> set[str]:
    """Return the extras of README's first installation."""
    found = re.search(r'^    pip install "mediagate\[([\w,-]+)\]"$', (ROOT / "README.md").read_text(), re.M)
    assert found is not None
    return set(found[1].split(","))


def megabytes(package: Distribution) -> float:
    """Return the size of a distribution's files, compiled ones included."""
    paths = [Path(str(package.locate_file(file))) for file in package.files or ()]
    assert paths, package.name
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


@pytest.mark.slow
def test_first_screen_installs_at_most_350_mb(built_wheel: Path) -> None:
    sizes = {package.name: megabytes(package) for package in installed_with(first_screen()).values()}
    with ZipFile(built_wheel) as wheel:
        # What pip compiles is about as large as its source.
        sizes["mediagate"] = (
            sum(file.file_size * (2 if file.filename.endswith(".py") else 1) for file in wheel.infolist()) / 1e6
        )
    table = "\n".join(f"{size:6.1f}  {name}" for name, size in sorted(sizes.items(), key=lambda one: -one[1]))
    assert {"deno", "onnxruntime", "numpy", "pillow"} < sizes.keys(), table
    assert sum(sizes.values()) <= MOST_MB, table


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_documented_extras_are_spelled_as_old_releases_of_pip_need_them(page: Path) -> None:
    """Those before 23.3, such as that of a new environment of Python 3.11, leave an extra with an underscore out."""
    named = re.findall(r"mediagate\[([^\]]+)\]", page.read_text())
    assert all(extra == canonicalize_name(extra) for extras in named for extra in extras.split(","))


def test_first_screen_has_no_opencv() -> None:
    assert [name for name in installed_with(first_screen()) if name.startswith(("opencv", "nudenet"))] == []


def test_first_screen_has_nothing_under_the_agpl() -> None:
    for name, package in installed_with(first_screen()).items():
        fields = ("Classifier", "License", "License-Expression")
        said = [value for field in fields for value in package.metadata.get_all(field) or ()]
        texts = [file for file in package.files or () if re.search(r"licen[cs]e|copying", file.name, re.I)]
        said += [file.read_text() for file in texts if file.suffix in ("", ".txt", ".md", ".rst")]
        assert not re.search(r"\bAGPL|GNU AFFERO GENERAL PUBLIC LICENSE\s+Version", "\n".join(said), re.I), name


def test_agpl_is_recognised_in_nudenet() -> None:
    assert "nudenet" in installed_with({"nudenet"})
    package = distribution("nudenet")
    texts = [file.read_text() for file in package.files or () if "LICENSE" in file.name]
    assert any(re.search(r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version", text, re.I) for text in texts)
