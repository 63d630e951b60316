"""What each level of scrutiny sees, what it costs, and how often it alarms for nothing.

    python -m bench.scrutiny                  how small a forbidden part may be for NudeNet, and the cost of each model
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
from itertools import product
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
from mediagate.moderation import input_edge, merge
from mediagate_plugins import nudenet, open_nsfw
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
MODELS = ("open_nsfw", "nudenet")


@cache
def model(name: str) -> Moderator:
    """Return a moderator of this process."""
    if name == "nudenet":
        options = Options(model=nudenet.model_file(), groups=nudenet.GROUPS, fit="corner", pad=0)
    else:
        options = Options(
            model=open_nsfw.model_file(),
            labels=open_nsfw.LABELS,
            groups=open_nsfw.GROUPS,
            colour="bgr",
            scale=1,
            mean=open_nsfw.MEAN,
        )
    moderator = load(options)
    moderator.prepare()
    return moderator


def judged(frames: list[Image.Image], level: Level, moderator: Moderator) -> tuple[float, int]:
    """Return the highest explicit score and the runs of the model for a source that rejects nothing."""
    if level == "whole":
        seen = images.looks(frames[0], (0, 0, *frames[0].size), max(frames[0].size))[:2]
        scores, runs = merge(moderator.judge(images.PixelPicture(one)) for one in seen).scores, len(seen)
    else:
        source = Source(scrutiny=level)
        plans = images.plan(frames[0].size, source)
        verdict, runs = judge(frames, [100] * len(frames), 0, plans, source, moderator)
        scores = verdict.scores
    return max(scores[label] for label in moderator.groups["explicit"]), runs


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
    boxes = views(size, images.plan(size, source), source, input_edge(model("nudenet")))
    return boxes[:1] if level == "whole" else boxes


def _face(picture: Image.Image, box: Box) -> float:
    moderator = model("nudenet")
    (seen,) = images.looks(picture, box, FINER * input_edge(moderator))
    return moderator.judge(images.PixelPicture(seen)).scores["FACE_FEMALE"]


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
    print(f"| picture | level | {' | '.join(f'{name}, runs | CPU ms' for name in MODELS)} |")
    print(f"| --- | --- {'| --- | --- ' * len(MODELS)}|")
    for name, frames in kinds.items():
        for level in LEVELS[1:]:
            cells = [f"{runs} | {cost:.0f}" for runs, cost in (_cost(frames, level, one, times) for one in MODELS)]
            print(f"| {name} | {level} | {' | '.join(cells)} |", flush=True)


def _cost(frames: list[Image.Image], level: Level, name: str, times: int) -> tuple[int, float]:
    """Return the runs of a model, and CPU milliseconds."""
    judged(frames[:1], "whole", model(name))  # so that nothing is loaded for the first time
    began = process_time()
    for _ in range(times):
        _, runs = judged(frames, level, model(name))
    return runs, (process_time() - began) * 1000 / times


def _faded(image: Image.Image, alpha: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(alpha.resize(image.size))
    return image


# -- false alarms


def print_alarms(folders: list[Path]) -> None:
    """Print how many pictures reach each threshold with an explicit label of each model at each level."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        found = [(path, rows) for path, rows in zip(paths, processes.map(_scores, paths), strict=True) if rows]
    print(f"{len(found)} pictures\n\n| model | level | {' | '.join(map(str, THRESHOLDS))} | runs a picture |")
    print(f"| --- | --- {'| --- ' * len(THRESHOLDS)}| --- |")
    for name, level in product(MODELS, LEVELS):
        alarms = [sum(rows[name, level][0] >= threshold for _, rows in found) for threshold in THRESHOLDS]
        runs = sum(rows[name, level][1] for _, rows in found) / max(1, len(found))
        print(f"| {name} | {level} | {' | '.join(map(str, alarms))} | {runs:.1f} |")
    for path, rows in found:
        if high := [f"{name} {level} {score:.2f}" for (name, level), (score, _) in rows.items() if score >= 0.5]:
            print(path.name, *high)


def _scores(path: Path) -> dict[tuple[str, Level], tuple[float, int]]:
    frames = list(_opened(path))
    if not frames:
        return {}
    return {(name, level): judged(frames, level, model(name)) for name, level in product(MODELS, LEVELS)}


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
