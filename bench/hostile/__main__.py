"""Send each attack to a real service on loopback: ``python -m bench.hostile [--runs N] [--only ROW]``."""

from __future__ import annotations

import argparse
import sys
import traceback

from bench.hostile import of_clients, of_pictures, of_processes
from bench.hostile.attack import Attack, Outcome
from bench.size import SMALLEST, Size, add_smallest

ATTACKS = (*of_pictures.ATTACKS, *of_clients.ATTACKS, *of_processes.ATTACKS)


def main() -> int:
    """Print the table; exit with 1 unless every goal was reached in every run.

    Of the smallest size no goal is judged: exit with 1 if a run broke off.
    """
    names = [attack.name for attack in ATTACKS]
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description="What cheap attacks cost others.")
    parser.add_argument("--runs", type=int, default=3, help="how often each is sent (3)")
    parser.add_argument("--only", action="append", choices=names, metavar="ROW", help=f"of {', '.join(names)}")
    add_smallest(parser)
    options = parser.parse_args()
    size = SMALLEST if options.smallest else Size(options.runs)
    print("| row | attack | goal | measured in each run | held |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    missed = 0
    for attack in ATTACKS:
        if options.only and attack.name not in options.only:
            continue
        outcomes = [_run(attack, size) for _ in range(size.runs)]
        held = sum(outcome.held for outcome in outcomes)
        missed += len(outcomes) - held if size.is_whole else sum(outcome.broke_off for outcome in outcomes)
        measured = "<br>".join(outcome.measured for outcome in outcomes)
        print(f"| {attack.name} | {attack.what} | {attack.goal} | {measured} | {held} of {len(outcomes)} |", flush=True)
    return 1 if missed else 0


def _run(attack: Attack, size: Size) -> Outcome:
    try:
        return attack.run(size)
    except Exception as exc:
        traceback.print_exc()
        return Outcome(f"broke off: {type(exc).__name__}", held=False, broke_off=True)


if __name__ == "__main__":
    sys.exit(main())
