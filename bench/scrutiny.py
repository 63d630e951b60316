"""What each level of scrutiny sees, what it costs, and how often it alarms for nothing; judged by NudeNet's model.

    python -m bench.scrutiny                  how small a forbidden part may be, and the cost
    python -m bench.scrutiny FOLDER …         false alarms on the pictures in these folders instead
    python -m bench.scrutiny --smallest       all of this, on as little as it takes

The forbidden part is the portrait ``tests/data/moderation/astronaut.png``, or the face cut out of it, pasted into a
photo at nine places; the policy is ``Source(reject={"FACE_FEMALE": 0.5})``. A share is that of the longer edge. The
pictures of the folders should be harmless: any score for a label of the group ``explicit`` is a false alarm.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Literal, get_args

from PIL import Image, ImageOps

from bench.size import SMALLEST, Size, add_smallest
from mediagate import Moderator, Source
from mediagate.errors import MediagateError
from mediagate.images import pixels as images
from mediagate.images.judgement import FINER, judge
from mediagate.images.views import Box, views
from mediagate.moderation import apply_policy, input_edge, merge
from mediagate_plugins.nudenet import GROUPS, model_file
from mediagate_plugins.onnx_moderation import load
from mediagate_plugins.onnx_moderation.options import Options

DATA = Path(__file__).parents[1] / "tests" / "data"
Place = tuple[float, float]
Level = Literal["whole", "standard", "thorough"]
"""The first is no level: one look at the whole, on white and on black if it has alpha."""
LEVELS: tuple[Level, ...] = get_args(Level)
FACE = (172, 82, 276, 182)
"""Where NudeNet finds the face in the portrait, in pixels."""
EVERYTHING = Source(max_pixels=1_000_000_000)
PORTRAIT, PHOTO = DATA / "moderation" / "astronaut.png", DATA / "photos" / "photo_2725x2225.jpg"
SHARES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
PLACES = tuple((across, down) for across in (0.08, 0.47, 0.83) for down in (0.13, 0.52, 0.95))
SIZES = {"12 MP, 4032 x 3024": (4032, 3024), "1920 x 1440": (1920, 1440), "512 x 512": (512, 512)}
LARGEST_STRIP = (512, 4096)
THRESHOLDS = (0.2, 0.5, 0.7, 0.9)
REJECT_FACES = Source(reject={"FACE_FEMALE": 0.5})
REJECT_NOTHING = Source(reject={"FACE_FEMALE": 1.0})


@cache
def model() -> Moderator:
    """Return the moderator of this process."""
    moderator = load(Options(model=model_file(), groups=GROUPS, fit="corner", pad=0))
    moderator.prepare()
    return moderator


def judged(frames: list[Image.Image], level: Level, source: Source = REJECT_FACES) -> tuple[bool, float, int]:
    """Return whether it was rejected, the highest explicit score, and the runs of the model."""
    if level == "whole":
        seen = images.looks(frames[0], (0, 0, *frames[0].size), max(frames[0].size))[:2]
        verdict = apply_policy(merge(model().judge(images.PixelPicture(one)) for one in seen), source, model().groups)
        runs = len(seen)
    else:
        source = source.model_copy(update={"scrutiny": level})
        plans = images.plan(frames[0].size, source)
        verdict, runs = judge(frames, [100] * len(frames), 0, plans, source, model())
    return verdict.decision == "reject", max(verdict.scores[label] for label in GROUPS["explicit"]), runs


def _sizes(size: Size) -> dict[str, tuple[int, int]]:
    """Return the sizes of photos that are tried, the largest first."""
    return dict(list(SIZES.items())[-size.of(len(SIZES)) :])


# -- how small a forbidden part may be


def print_shares(size: Size) -> None:
    """Print, for each size and level, the smallest part that is found at all places, and at half of them."""
    portrait = Image.open(PORTRAIT).convert("RGB")
    parts = {"portrait": portrait, "face": portrait.crop(FACE)}
    pictures = _sizes(size)
    tried = SHARES[: size.of(len(SHARES))], PLACES[: size.of(len(PLACES))]
    jobs = [(part, edges, level, *tried) for edges in pictures.values() for part in parts.values() for level in LEVELS]
    names = [(picture, name, level) for picture in pictures for name in parts for level in LEVELS]
    print(
        "| picture | part | level | found everywhere | found at half of the places |\n| --- | --- | --- | --- | --- |"
    )
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        for (picture, name, level), shares in zip(names, processes.map(_smallest, jobs), strict=True):
            edge = max(pictures[picture])
            cells = [f"{share:.1%} ({share * edge:.0f} px)" if share else "never" for share in shares]
            print(f"| {picture} | {name} | {level} | {' | '.join(cells)} |", flush=True)


def _smallest(job: tuple[Image.Image, tuple[int, int], Level, Sequence[int], Sequence[Place]]) -> tuple[float, float]:
    part, size, level, shares, places = job
    ground = ImageOps.fit(Image.open(PHOTO).convert("RGB"), size)
    everywhere = half = 0.0
    unbroken = True
    for divisor in shares:
        width = max(size) // divisor
        pasted = part.resize((width, round(width * part.height / part.width)), Image.Resampling.LANCZOS)
        found = sum(_found(ground, pasted, place, level) for place in places)
        unbroken = unbroken and found == len(places)
        everywhere = 1 / divisor if unbroken else everywhere
        if found * 2 >= len(places):
            half = 1 / divisor
        if not found:
            break
    return everywhere, half


def _found(ground: Image.Image, part: Image.Image, place: Place, level: Level) -> bool:
    """Whether a view that shows some of the part is rejected; the others show the photo alone, which is not."""
    picture = ground.copy()
    left, top = (round(place[axis] * (ground.size[axis] - part.size[axis])) for axis in (0, 1))
    picture.paste(part, (left, top))
    right, bottom = left + part.width, top + part.height
    return any(
        _face(picture, box) >= REJECT_FACES.reject["FACE_FEMALE"]
        for box in _boxes(picture.size, level)
        if box[0] < right and box[1] < bottom and box[2] > left and box[3] > top
    )


def _boxes(size: tuple[int, int], level: Level) -> list[Box]:
    source = REJECT_FACES if level == "whole" else REJECT_FACES.model_copy(update={"scrutiny": level})
    boxes = views(size, images.plan(size, source), source, input_edge(model()))
    return boxes[:1] if level == "whole" else boxes


def _face(picture: Image.Image, box: Box) -> float:
    (seen,) = images.looks(picture, box, FINER * input_edge(model()))
    return model().judge(images.PixelPicture(seen)).scores["FACE_FEMALE"]


# -- cost


def print_costs(size: Size) -> None:
    """Print the runs and the CPU time of pictures in which nothing is found."""
    photo = Image.open(PHOTO).convert("RGB")
    largest, *_ = _sizes(size).values()
    large, avatar = ImageOps.fit(photo, largest), ImageOps.fit(photo, (512, 512))
    half = Image.linear_gradient("L")
    times = size.of(3)
    kinds = {
        "photo of 12 MP": [large],
        "photo of 12 MP with alpha": [_faded(large, half)],
        "avatar, 512 x 512": [avatar],
        "avatar with alpha": [_faded(avatar, half)],
        "strip, 512 x 4096": [ImageOps.fit(photo, LARGEST_STRIP)],
        "animation, 30 frames of 480 x 360": [
            ImageOps.fit(photo, (480, 360), centering=(at / 30, 0.5)).rotate(at) for at in range(size.of(30))
        ],
    }
    print("| picture | level | runs | CPU ms |\n| --- | --- | --- | --- |")
    for name, frames in kinds.items():
        for level in LEVELS[1:]:
            judged(frames[:1], "whole")  # so that nothing is loaded for the first time
            began = process_time()
            for _ in range(times):
                runs = judged(frames, level)[2]
            print(f"| {name} | {level} | {runs} | {(process_time() - began) * 1000 / times:.0f} |", flush=True)


def _faded(image: Image.Image, alpha: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(alpha.resize(image.size))
    return image


# -- false alarms


def print_alarms(folders: list[Path]) -> None:
    """Print how many pictures reach each threshold with an explicit label at each level."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        found = [(path, row) for path, row in zip(paths, processes.map(_scores, paths), strict=True) if row]
    print(f"{len(found)} pictures\n\n| level | {' | '.join(f'{t}' for t in THRESHOLDS)} | runs a picture |")
    print(f"| --- {'| --- ' * len(THRESHOLDS)}| --- |")
    for at, level in enumerate(LEVELS):
        alarms = [sum(row[at][0] >= threshold for _, row in found) for threshold in THRESHOLDS]
        runs = sum(row[at][1] for _, row in found) / max(1, len(found))
        print(f"| {level} | {' | '.join(map(str, alarms))} | {runs:.1f} |")
    for path, row in found:
        if any(score >= 0.5 for score, _ in row):
            print(path.name, *(f"{level} {score:.2f}" for level, (score, _) in zip(LEVELS, row, strict=True)))


def _scores(path: Path) -> list[tuple[float, int]]:
    frames = list(_opened(path))
    return [judged(frames, level, REJECT_NOTHING)[1:] for level in LEVELS] if frames else []


def _opened(path: Path) -> Iterator[Image.Image]:
    images.lift_pixel_limit()
    with suppress(MediagateError):
        yield images.decode(path.read_bytes(), EVERYTHING).frames[0]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.scrutiny", description="Measure the levels of scrutiny.")
    parser.add_argument("folders", nargs="*", type=Path, help="harmless pictures to count false alarms on")
    add_smallest(parser)
    options = parser.parse_args()
    size = SMALLEST if options.smallest else Size()
    if not options.folders:
        print_costs(size)
        print_shares(size)
    if options.folders or options.smallest:
        print_alarms(options.folders or [PORTRAIT.parent])


if __name__ == "__main__":
    main()
