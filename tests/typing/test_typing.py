"""mypy accepts correct use of the public API and reports wrong use, line by line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def mypy(name: str) -> set[int]:
    """Return the line numbers of the errors of mypy --strict."""
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(HERE / name)],
        capture_output=True, text=True, check=False, cwd=HERE.parent.parent,
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return {int(number) for number in re.findall(rf"{name}:(\d+): error", run.stdout)}


def test_public_api_usage_type_checks() -> None:
    assert mypy("accepted.py") == set()


def test_wrong_public_api_usage_is_a_type_error() -> None:
    lines = (HERE / "refused.py").read_text().splitlines()
    assert mypy("refused.py") == {n for n, line in enumerate(lines, 1) if line.endswith("# E")}
