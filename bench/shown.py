"""Fuzz the engine: does every published file show what was judged? ``python -m bench.shown --minutes 10 --seed 1``.

With files as arguments it checks these instead, and says what NudeNet's model makes of what was judged and what is
shown.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # to find the tests, from wherever it is run

from mediagate import Source, VariantSpec  # noqa: E402
from mediagate.images.pixels import PixelPicture  # noqa: E402
from mediagate.moderation import Moderator  # noqa: E402
from tests.support.samples import payloads  # noqa: E402 - the path comes first
from tests.support.samples.catalogue import KINDS  # noqa: E402
from tests.support.samples.mutation import mutant  # noqa: E402
from tests.support.samples.random_picture import FORMATS, random_file  # noqa: E402
from tests.support.showing.browser import Browser, opened  # noqa: E402
from tests.support.showing.comparison import Difference, check, views_of  # noqa: E402
from tests.support.showing.engine import SOURCE, Outcome, process  # noqa: E402

BATCH = 40
SLOW_S = 20
"""Seconds after which an upload counts as hanging."""
LIMITS: dict[str, Any] = {"max_pixels": 1_000_000, "max_frames": 20, "max_animation_pixels": 2_000_000}
"""So small that a sheet of the browser holds whatever a mutant claims to be."""
LARGE_SAMPLE = 500_000
"""Bytes of a sample that is too slow to be mutated again and again."""
SMALLEST = 64
QUALITY = 95
WILD = (8.0, 48.0)
"""What an encoder may lose, twice as much as in the tests: the colours of mutants change faster than 4:2:0 can hold."""
VARIANTS = {
    **SOURCE.variants,
    "avatar": VariantSpec(width=512, height=512, fit="cover", quality=90),
}
"""Those of given files: a cut that the model can see, and none so large that nothing is decoded at a reduced scale."""
FACE = "FACE_FEMALE"


@dataclass(frozen=True, slots=True)
class Upload:
    """One input of the fuzz: how it came about, its bytes, and the source that it is sent to."""

    number: int
    format: str
    data: bytes
    source: Source


@dataclass(slots=True)
class Tally:
    """What became of the uploads of one format."""

    uploads: int = 0
    complete: int = 0
    differences: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)


class Fuzz:
    """Makes uploads of a seed; the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        made = [(sample.format, sample.data) for kind in KINDS.values() for sample in kind()]
        made += [(sample.format, sample.data) for sample in payloads.samples()]
        self._samples: dict[str, list[bytes]] = {name: [] for name in FORMATS}
        for image_format, data in made:
            if len(data) < LARGE_SAMPLE:
                self._samples[image_format].append(data)

    def upload(self, number: int) -> Upload:
        """Return the next one: a sample, or a random file; three of four times a mutant of it."""
        random = self._random
        if random.random() < 0.6:
            image_format = random.choice(FORMATS)
            data = random.choice(self._samples[image_format])
        else:
            image_format, data = random_file(random)
        if random.random() < 0.75:
            data = mutant(data, image_format, self._samples[image_format], random)
        return Upload(number, image_format, data, self._source())

    def _source(self) -> Source:
        random = self._random
        options: dict[str, Any] = {
            "original": random.choice(("keep", "keep", "delete")),
            "animation": random.choice(("keep", "first_frame")),
            "effort": 0,
            **LIMITS,
        }
        if "colour" in Source.model_fields:
            options["colour"] = random.choice(("srgb", "wide"))
        # Of good quality, so that an encoder's own loss stays within the limits whatever the picture is.
        variants = {
            name: spec.model_copy(update={"quality": QUALITY})
            for name, spec in SOURCE.variants.items()
            if name != "small"
        }
        small = {"width": random.randint(8, 96), "format": random.choice(("webp", "jpeg", "avif", "png"))}
        variants["small"] = VariantSpec.model_validate({**small, "quality": QUALITY})
        kept = random.sample(sorted(variants), random.randint(1, 3))
        return Source(variants={name: variants[name] for name in kept}, **options)


def fuzz(minutes: float, seed: int, keep: Path | None) -> int:
    """Print a row a format, and return how many uploads failed."""
    makes, started = Fuzz(seed), monotonic()
    tallies = {name: Tally() for name in FORMATS}
    failed = 0
    with opened() as browser:
        for start in count(step=BATCH):
            uploads = [makes.upload(start + at) for at in range(BATCH)]
            outcomes = [_timely(upload, keep) for upload in uploads]
            for upload, outcome, differences in zip(uploads, outcomes, check(outcomes, browser, WILD), strict=True):
                _count(tallies[upload.format], outcome, differences)
                if differences or outcome.broken:
                    failed += 1
                    what = str(differences[0]) if differences else f"{outcome.broken}: {outcome.error}"
                    print(f"seed {seed}, upload {upload.number}.{upload.format}: {what}", flush=True)
                    if keep:
                        _save(keep, f"{seed}-{upload.number}", upload)
            if monotonic() - started > minutes * 60:
                break
    _print(tallies, monotonic() - started, seed)
    return failed


def show_files(files: Sequence[Path], source: Source) -> int:
    """Print what becomes of each file, and return how many show something else than was judged."""
    moderator = _model()
    failed = 0
    print("| file | status | judged | shown | differences | the first |\n| --- | --- | --- | --- | --- | --- |")
    with opened() as browser:
        for file in files:
            outcome = process(file.read_bytes(), source)
            [differences] = check([outcome], browser)
            judged = max((_score(moderator, picture) for picture in outcome.seen), default=0.0)
            rendered = outcome.rendered
            shown = _highest(moderator, browser, outcome) if rendered else 0.0
            failed += bool(differences) or shown >= 0.5 > judged or bool(outcome.broken)
            first = str(differences[0]) if differences else str(outcome.error or "")
            status = "REJECTED" if judged >= 0.5 else outcome.status
            print(f"| {file.name} | {status} | {judged:.2f} | {shown:.2f} | {len(differences)} | {first} |", flush=True)
    return failed


def main() -> int:
    """Fuzz, or check files; exit 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.shown", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="file", help="uploads to check instead of random ones")
    parser.add_argument("--minutes", type=float, default=10, help="how long to fuzz (10)")
    parser.add_argument("--seed", type=int, default=1, help="of the random uploads (1)")
    parser.add_argument("--keep", type=Path, help="folder for the uploads that fail")
    parser.add_argument("--source", default="{}", help="options of the source of given files, as JSON")
    options = parser.parse_args()
    if options.files:
        source = Source.model_validate({"variants": VARIANTS, "animation": "keep", **json.loads(options.source)})
        return 1 if show_files(options.files, source) else 0
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    return 1 if fuzz(options.minutes, options.seed, options.keep) else 0


def _timely(upload: Upload, keep: Path | None) -> Outcome:
    """Process an upload, which is on disk meanwhile: what kills this process is found there."""
    if keep:
        _save(keep, "in-hand", upload)

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took more than {SLOW_S} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SLOW_S)
    try:
        return process(upload.data, upload.source)
    finally:
        signal.alarm(0)


def _count(tally: Tally, outcome: Outcome, differences: list[Difference]) -> None:
    tally.uploads += 1
    tally.complete += outcome.status == "COMPLETE"
    tally.differences += bool(differences)
    tally.refused[outcome.refused] += bool(outcome.refused)
    tally.broken[outcome.broken] += bool(outcome.broken)


def _print(tallies: dict[str, Tally], seconds: float, seed: int) -> None:
    print(
        "\n| format | uploads | complete | differences | refused | exceptions |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name, tally in tallies.items():
        cells = [name, tally.uploads, tally.complete, tally.differences, _told(tally.refused), _told(tally.broken)]
        print(f"| {' | '.join(map(str, cells))} |")
    uploads, differences = (
        sum(getattr(each, name) for each in tallies.values()) for name in ("uploads", "differences")
    )
    print(
        f"\n{uploads:,} uploads in {seconds:.0f} s ({uploads / seconds:.1f}/s), seed {seed}: {differences} differences"
    )


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common() if number) or "none"


def _save(folder: Path, name: str, upload: Upload) -> None:
    (folder / f"{name}.{upload.format}").write_bytes(upload.data)
    (folder / f"{name}.json").write_text(upload.source.model_dump_json())


def _highest(moderator: Moderator, browser: Browser, outcome: Outcome) -> float:
    """Return the highest score of what Chromium shows of the published files at full size."""
    files = outcome.rendered.files if outcome.rendered else ()
    looks = [view for views in views_of(browser, files) for view in views if min(view.image.size) >= SMALLEST]
    return max((_score(moderator, view.image) for view in looks if view.scale == 1), default=0.0)


def _score(moderator: Moderator, picture: Any) -> float:
    return moderator.judge(PixelPicture(picture)).scores[FACE]


def _model() -> Moderator:
    from mediagate_plugins.nudenet import model_file
    from mediagate_plugins.onnx_moderation import load
    from mediagate_plugins.onnx_moderation.options import Options

    moderator = load(Options(model=model_file(), fit="corner", pad=0))
    moderator.prepare()
    return moderator


if __name__ == "__main__":
    sys.exit(main())
