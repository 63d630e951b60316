"""``python -m tests.corpus``: what ``step.py`` says, with the folders of its helpers on the path."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def main() -> int:
    """Run the step."""
    sys.path[:0] = [str(TESTS / name) for name in ("corpus", "e2e", "shown")]
    from step import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
