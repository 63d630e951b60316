"""``python -m tests.corpus``: what ``step.py`` says."""

import sys

from tests.corpus.step import main

if __name__ == "__main__":
    sys.exit(main())
