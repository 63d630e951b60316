"""Benchmarks beside peers: ``python -m bench [engine|ingest|status|service|costs|walls] [--runs N] [--photos N]``."""

from __future__ import annotations

import argparse
import sys

from bench import costs, engine, ingest, service, status, walls
from bench.table import print_rows

PARTS = {"engine": engine, "ingest": ingest, "status": status, "service": service, "costs": costs, "walls": walls}


def main() -> int:
    """Print the table of each part."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure mediagate beside its peers.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--runs", type=int, default=3, help="medians of so many alternating runs (3)")
    parser.add_argument("--photos", type=int, default=100, help="of the image engine's mixed photos (100)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if sys.platform != "linux":
        parser.error("memory and CPU time of processes are read from /proc, so this runs on Linux only")
    for part in options.parts or PARTS:
        module = PARTS[part]
        limits = {"count": options.photos} if module is engine else {}
        if module not in (costs, walls):
            print_rows(part, module.rows(options.runs, **limits))
            sys.stdout.flush()
        if module in (engine, costs, walls):
            module.details(options.runs, **limits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
