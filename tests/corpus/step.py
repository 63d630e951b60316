"""Send every file below some folders to a real service, show it to Chromium, and print who takes what.

    python -m tests.corpus FOLDER… [--parallel 4] [--source '{"animation": "keep"}']

The service is ``mediagate serve`` with its real image processes, moderation off; what it publishes is deleted again.
Exit 1 if it gave no answer, or told a fault of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from tests.corpus.outcome import Client, Outcome, Shown, Viewer
from tests.support.server import running

SEEN = get_args(Shown)
EVERY = 250
"""Files after which a line says how far it has come."""

Row = tuple[Path, Outcome, Shown]


def files_below(folders: Iterable[Path]) -> list[Path]:
    """Return all files, in order."""
    found = (path for folder in folders for path in (sorted(folder.rglob("*")) if folder.is_dir() else [folder]))
    return [path for path in found if path.is_file()]


def sent_and_shown(files: Sequence[Path], parallel: int, source: str) -> Iterator[Row]:
    """Yield for each file what became of it here and there; so many are with the service at a time."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="mediagate-corpus-"))
        service = stack.enter_context(
            running(
                "tests.corpus.corpus_gate:gate",
                Path(folder) / "data",
                CORPUS_SOURCE=source,
            )
        )
        client = stack.enter_context(closing(Client(service.url)))
        viewer = stack.enter_context(closing(Viewer()))
        senders = stack.enter_context(ThreadPoolExecutor(parallel))
        for path, sent in [(path, senders.submit(client.send, path)) for path in files]:
            yield path, sent.result(), viewer.show(path)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table: how files ended here, beside what Chromium does with them."""
    counts = Counter((outcome.end, shown) for _, outcome, shown in rows)
    ends = Counter(outcome.end for _, outcome, _ in rows)
    yield f"| here | files | in Chromium: {' | '.join(SEEN)} |"
    yield "| --- |" + " --- |" * (1 + len(SEEN))
    for end, number in ends.most_common():
        yield f"| {end} | {number} | {' | '.join(str(counts[end, shown]) for shown in SEEN)} |"


def differences(rows: Sequence[Row]) -> Iterator[str]:
    """Yield each file that one of the two takes and the other does not, and each fault, in groups."""
    groups: list[tuple[str, list[Row]]] = [
        ("Shown whole by Chromium, not COMPLETE here", [r for r in rows if r[2] == "whole" and r[1].end != "COMPLETE"]),
        ("COMPLETE here, not shown whole by Chromium", [r for r in rows if r[2] != "whole" and r[1].end == "COMPLETE"]),
        ("Faults of the service", [r for r in rows if r[1].fault]),
    ]
    for title, group in groups:
        yield f"\n{title}: {len(group)}"
        for path, outcome, shown in group:
            yield f"  {path}: {outcome.end}, in Chromium {shown}{f' ({outcome.detail})' if outcome.detail else ''}"


def main() -> int:
    """Print the table and the differences."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folders of pictures, or files")
    parser.add_argument("--parallel", type=int, default=4, help="files that are with the service at a time (4)")
    parser.add_argument("--source", default="{}", help="options of the source, as JSON")
    options = parser.parse_args()
    rows: list[Row] = []
    files = files_below(options.folders)
    for row in sent_and_shown(files, options.parallel, options.source):
        rows.append(row)
        if len(rows) % EVERY == 0:
            print(f"{len(rows)} of {len(files)} files", file=sys.stderr, flush=True)
    print("\n".join([*table(rows), *differences(rows)]))
    return 1 if any(outcome.fault for _, outcome, _ in rows) else 0
