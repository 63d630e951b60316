"""Run all of the benchmarks' code once, on as little as it takes: ``python -m bench.smallest``.

Two commands run side by side, so their figures mean nothing, and none is judged. Exits with 1 if a command failed; what
that one printed is shown.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[1]
AT_ONCE = 2
TINY = "tests/data/photos/exif_gps_tiny.jpg"
# The longest first, so that none is left running alone at the end.
COMMANDS = (
    "bench.cluster --photos 5 --kill-every 5 --seed 1",
    "bench.hostile --smallest",
    "bench.sizing --smallest",
    "bench engine --smallest",
    "bench operations --smallest",
    "bench.operations --costs --smallest",
    "bench.enhancement --smallest",
    "bench reading --smallest",
    "bench.reading --smallest",
    "bench status --smallest",
    "bench service --smallest",
    "bench ingest --smallest",
    "bench.scrutiny --smallest",
    "bench costs --smallest",
    "bench walls --smallest",
    "bench.fair --photos 40 --runs 1",
    "bench.shown --minutes 0",
    f"bench.shown {TINY}",
    "bench.mutants --count 2",
    f"bench.pipeline {TINY} --runs 1 --nudenet",
    "bench.claims --jobs 6 --workers 2",
    "bench.lives --jobs 16 --processes 1",
    "bench.runtimes --jobs 16 --runs 1",
    "bench.copies --pictures 2",
)


def run(command: str) -> tuple[bool, str, float]:
    """Return whether a command ended with 0, what it printed, and the seconds that it took."""
    began = time.monotonic()
    words = [sys.executable, "-m", *command.split()]
    done = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout, time.monotonic() - began


def main(commands: Sequence[str] = COMMANDS) -> int:
    """Print a line for each command, and the output of those that failed."""
    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(run, command): command for command in commands}
        for ended in as_completed(running):
            passed, printed, took_s = ended.result()
            print(f"{took_s:5.0f} s  {running[ended]}", flush=True)
            if not passed:
                failed.append(running[ended])
                print(printed, flush=True)
    if failed:
        print(f"failed: {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
