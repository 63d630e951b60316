"""README is one page, its links work, and its code runs (``test_pages.py`` runs its Python blocks)."""

from __future__ import annotations

import re
import tomllib

from tests.support.pages import DOCS, PAGES, ROOT, ROOT_PAGES
from tests.support.wheels import RELEASES

README = PAGES["README.md"]


def test_readme_has_at_most_150_lines() -> None:
    assert len(README.splitlines()) <= 150


def test_links_of_files_outside_the_site_exist() -> None:
    for page in ROOT_PAGES:
        for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", PAGES[page]):
            if "://" not in target:
                assert (ROOT / (target or page)).exists(), f"{page}: {target}"
                assert not anchor or anchor in anchors((ROOT / (target or page)).read_text()), (
                    f"{page}: {target}#{anchor}"
                )


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_are_those_of_headings() -> None:
    assert anchors("# A b\n\ntext\n\n## `Key[T]`: what, 1 + 2\n") == {"a-b", "keyt-what-1--2"}
    readme = re.findall(r"\.md#([^)]+)\)", README)
    assert len(readme) >= 2


def test_readme_lists_every_plugin() -> None:
    listed = set(re.findall(r"docs/reference/plugins/(\w+)\.md", README)) - {"index"}
    assert listed == {path.stem for path in (DOCS / "reference" / "plugins").glob("*.md")} - {"index"}


def test_changelog_version_is_that_of_pyproject() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == "Unreleased"
    assert sections[1:2] in ([], [version])


def test_releases_folder_has_the_wheel_of_the_newest_release() -> None:
    """Between a release and the commit that adds its wheel, it has the one before."""
    released = re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    found = [wheel.name.split("-")[1] for wheel in RELEASES.glob("*.whl")]
    assert found in ([[version] for version in released[:2]] if len(released) > 1 else [[], released])


def test_changelog_lines_begin_with_their_area() -> None:
    lines = re.findall(r"^- (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert len(lines) > 50
    assert [line for line in lines if not re.match(r"\w+ \u2013 \S", line)] == []


def test_llms_txt_lists_every_page_of_the_site_but_those_of_single_plugins() -> None:
    listed = set(re.findall(r"\]\((\S+?)\)", (DOCS / "llms.txt").read_text()))
    pages = {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/")} - {"index.md"}
    assert listed == {page for page in pages if not page.startswith("reference/plugins/")} | {
        "reference/plugins/index.md"
    }


def test_classifiers_name_the_tested_versions() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    (tested,) = re.findall(r"^ +python: \[(.*)\]$", workflow, re.M)
    versions = {
        line.rpartition(" ")[2] for line in classifiers if line.startswith("Programming Language :: Python :: 3.")
    }
    assert {version.strip('"') for version in tested.split(", ")} == versions
    assert "Operating System :: POSIX :: Linux" in classifiers
