"""The build copies the licence text of each bundled package, from wherever the package has it, or fails."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.runtimes import packaged

PROGRAM = """
const { copyLicences, packagesOf } = require(process.argv[1]);
const [modules, target, ...files] = process.argv.slice(2);
copyLicences(packagesOf(files, modules), target);
"""
SCRIPT = Path(__file__).parents[2] / "query_engine" / "licences.js"
README = "# one\n\nText.\n\n## License\n\nCopyright (c) 2020 Ann\n\nPermission is granted.\n\n## Thanks\n\nBob\n"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    return tmp_path / "node_modules"


def package(modules: Path, name: str, *, code: str = "", **files: str) -> Path:
    """Write a package of version 1.0.0 and return its code's path."""
    folder = modules / name
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name.rpartition("node_modules/")[2], "version": "1.0.0"}))
    for file, text in files.items():
        (folder / file.replace("_", ".")).write_text(text)
    (folder / "index.js").write_text(code)
    return folder / "index.js"


def collect(modules: Path, *files: Path) -> dict[str, str]:
    """Return the texts that are copied for a bundle of these files, by path."""
    target = modules.parent / "licences"
    command = [str(packaged("node")), "-e", PROGRAM, str(SCRIPT), str(modules), str(target), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}


def test_licence_and_notice_files_are_copied(modules: Path) -> None:
    file = package(modules, "@scope/one", LICENSE_md="Copyright Ann", notice="Made by Bob", README_md="Read me")
    assert collect(modules, file) == {
        "@scope/one/1.0.0/LICENSE.md": "Copyright Ann",
        "@scope/one/1.0.0/notice": "Made by Bob",
    }


def test_licence_in_a_readme_is_copied_up_to_the_next_heading(modules: Path) -> None:
    assert collect(modules, package(modules, "one", README_md=README)) == {
        "one/1.0.0/LICENSE": "## License\n\nCopyright (c) 2020 Ann\n\nPermission is granted.\n\n"
    }


def test_package_inside_a_package_has_its_own_licence(modules: Path) -> None:
    outer = package(modules, "one", LICENSE="Copyright Ann")
    inner = package(modules, "one/node_modules/two", LICENSE="Copyright Bob")
    assert set(collect(modules, outer, inner)) == {"one/1.0.0/LICENSE", "two/1.0.0/LICENSE"}


def test_package_that_a_published_file_contains_has_its_own_licence(modules: Path) -> None:
    code = "// src/index.ts\n// ../../node_modules/.pnpm/@a+two@1.0.0/node_modules/@a/two/index.mjs\nvar two;\n"
    file = package(modules, "one", code=code, LICENSE="Copyright Ann")
    package(modules, "@a/two", LICENSE="Copyright Bob")
    assert set(collect(modules, file)) == {"one/1.0.0/LICENSE", "@a/two/1.0.0/LICENSE"}


def test_code_of_our_own_needs_no_package(modules: Path, tmp_path: Path) -> None:
    file = tmp_path / "main.js"
    file.write_text("")
    assert collect(modules, file, package(modules, "one", LICENSE="Copyright Ann")).keys() == {"one/1.0.0/LICENSE"}


@pytest.mark.parametrize("readme", ["# one\n", "# one\n\n## License\n\nMIT\n"])
def test_package_without_a_licence_text_fails_the_build(modules: Path, readme: str) -> None:
    file = package(modules, "one", README_md=readme)
    with pytest.raises(AssertionError, match="one has no licence text"):
        collect(modules, file)


@pytest.mark.parametrize("installed", [True, False])
def test_contained_package_that_is_not_installed_in_its_version_fails_the_build(modules: Path, installed: bool) -> None:
    code = "// ../node_modules/.pnpm/two@2.0.0/node_modules/two/index.mjs\n"
    file = package(modules, "one", code=code, LICENSE="Copyright Ann")
    if installed:
        package(modules, "two", LICENSE="Copyright Bob")
    with pytest.raises(AssertionError, match=r"pin two 2\.0\.0, .* in query_engine/package\.json"):
        collect(modules, file)
