"""The site: `make docs` builds it with warnings as errors, so a broken link or anchor fails."""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "mediagate"
html_title = "mediagate"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_copy_source = False
myst_heading_anchors = 4
ROOT_FILE = re.compile(r"# .+\n\n\[[\w.]+\]\((\.\./\.\./\w+\.md)\)\n")


def include_root_file(app: Sphinx, name: str, source: list[str]) -> None:
    """Show the file of the repository's root that a page links to, and nothing else, in place of that page.

    In the repository the page is a title and a link, which reads well there.
    """
    if found := ROOT_FILE.fullmatch(source[0]):
        source[0] = f"```{{include}} {found[1]}\n:relative-docs: docs/\n```\n"


def copy_markdown(app: Sphinx, exception: Exception | None) -> None:
    """Serve llms.txt, and each page's Markdown beside its HTML, as llms.txt links to it."""
    if exception is None and app.builder.name == "html":
        for path in [app.srcdir / "llms.txt", *(Path(app.env.doc2path(name)) for name in app.env.found_docs)]:
            text = path.read_text()
            if found := ROOT_FILE.fullmatch(text):
                text = (path.parent / found[1]).read_text()
            (app.outdir / path.relative_to(app.srcdir)).write_text(text)


def setup(app: Sphinx) -> None:
    app.connect("source-read", include_root_file)
    app.connect("build-finished", copy_markdown)
