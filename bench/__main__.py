"""Benchmarks beside peers: ``python -m bench [PART…] [--runs N] [--photos N]``.

Parts are engine, operations, reading, ingest, status, service, costs and walls.
"""

from __future__ import annotations

import argparse
import sys

from bench import costs, engine, ingest, operations, reading, service, status, walls
from bench.size import SMALLEST, Size, add_smallest
from bench.table import print_rows
from bench.workshop import PeersUnavailableError

PARTS = {
    "engine": engine,
    "operations": operations,
    "reading": reading,
    "ingest": ingest,
    "status": status,
    "service": service,
    "costs": costs,
    "walls": walls,
}


def main() -> int:
    """Print the table of each part; exit with 1 if the peers of one are unavailable."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure mediagate beside its peers.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--runs", type=int, default=3, help="medians of so many alternating runs (3)")
    parser.add_argument("--photos", type=int, default=100, help="mixed photos for engine and service (100)")
    add_smallest(parser)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if sys.platform != "linux":
        parser.error("memory and CPU time of processes are read from /proc, so this runs on Linux only")
    size = SMALLEST if options.smallest else Size(options.runs, options.photos)
    missing = False
    for part in options.parts or PARTS:
        try:
            _print(part, size)
        except PeersUnavailableError as exc:
            missing = True
            print(f"{part}: left out, since its peers cannot be installed: {exc}", flush=True)
    return int(missing)


def _print(part: str, size: Size) -> None:
    module = PARTS[part]
    if module not in (costs, reading, walls):
        print_rows(part, module.rows(size))
        sys.stdout.flush()
    if module in (engine, operations, reading, costs, walls):
        module.details(size)


if __name__ == "__main__":
    sys.exit(main())
