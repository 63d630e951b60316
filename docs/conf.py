"""The site: `make docs` builds it with warnings as errors, so a broken link or anchor fails."""

import os
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
OUTSIDE = re.compile(r"# .+\n\n\[[\w./]+\]\(((?:\.\./)+(?:\w+/)?\w+\.md)\)\n")
"""A page that is only a title and a link to a file outside of the site."""
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def include_outside_file(app: Sphinx, name: str, source: list[str]) -> None:
    """Show the file outside of the site that a page links to, and nothing else, in place of that page.

    In the repository the page is a title and a link, which reads well there.
    """
    if found := OUTSIDE.fullmatch(source[0]):
        file = Path(app.env.doc2path(name)).parent / found[1]
        docs = os.path.relpath(app.srcdir, file.resolve().parent)
        source[0] = f"```{{include}} {found[1]}\n:relative-docs: {docs}/\n```\n"


def copy_markdown(app: Sphinx, exception: Exception | None) -> None:
    """Serve llms.txt, and each page's Markdown beside its HTML, as llms.txt links to it."""
    if exception is None and app.builder.name == "html":
        for path in [app.srcdir / "llms.txt", *(Path(app.env.doc2path(name)) for name in app.env.found_docs)]:
            text, home = path.read_text(), path.parent
            if found := OUTSIDE.fullmatch(text):
                file = (home / found[1]).resolve()
                text, home = file.read_text(), file.parent
            copy = app.outdir / path.relative_to(app.srcdir)
            copy.write_text(relinked(app, text, home, copy.parent))


def relinked(app: Sphinx, text: str, home: Path, copy: Path) -> str:
    """Return Markdown of the folder ``home`` with the links that it needs in the folder ``copy`` of the site."""

    def link(found: re.Match[str]) -> str:
        served = served_as(app, home / found[1])
        return os.path.relpath(app.outdir / served, copy) if served else found[1]

    return LINK.sub(link, text)


def served_as(app: Sphinx, file: Path) -> str | None:
    """Return where the site serves a file that a page links to or shows, ``None`` if it does not."""
    name = os.path.relpath(file, app.srcdir)
    downloads = {os.fspath(source): served for source, (_, served) in app.env.dlfiles.items()}
    if name in downloads:
        return f"_downloads/{downloads[name]}"
    if name in app.env.images:
        return f"_images/{app.env.images[name][1]}"
    return name if file.exists() and not name.startswith("..") else None


def setup(app: Sphinx) -> None:
    app.connect("source-read", include_outside_file)
    app.connect("build-finished", copy_markdown)
