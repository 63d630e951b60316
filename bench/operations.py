"""What each operation of pipelines costs beside sharp, pyvips and ImageMagick: CPU milliseconds on decoded pixels.

    python -m bench operations --runs 3
    python -m bench.operations --costs

Every contestant gets the same opaque sRGB pixels and makes pixels, or a file for ``save``; nothing is decoded. CPU time
is that of all threads. ImageMagick, if ``magick`` or ``convert`` is on the path, reads and writes PPM files: the time
of doing only that is subtracted. ``--costs`` prints the table of ``mediagate.images.operations.costs``: nanoseconds and
growth of the address space per pixel, of the larger of both pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from math import prod
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from PIL import Image

from bench import photos
from bench.size import Size, add_smallest
from bench.table import Row, print_rows
from bench.workshop import PEERS, workshop
from mediagate.config import Source
from mediagate.images import documents
from mediagate.images.operations import Context, File, Frames, Operation, parse, standard
from mediagate.images.pixels import limit_threads
from tests.support.documents import a_page_of_text

OPERATIONS = standard()
CASES: Mapping[str, Mapping[str, Any]] = {
    "resize to a half": {"op": "resize", "percent": 50},
    "crop to a half": {"op": "crop", "x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5, "unit": "fraction"},
    "rotate by 90": {"op": "rotate", "degrees": 90},
    "rotate by 10": {"op": "rotate", "degrees": 10, "background": "#000000"},
    "flip": {"op": "flip"},
    "mirror": {"op": "mirror"},
    "pad": {"op": "pad", "all": 100, "background": "#ff0000"},
    "trim": {"op": "trim"},
    "look": {"op": "look", "name": "sepia"},
    "blur": {"op": "blur", "radius": 5},
    "sharpen": {"op": "sharpen"},
    "pixelate": {"op": "pixelate", "size": 16},
    "vignette": {"op": "vignette"},
    "grain": {"op": "grain"},
    "watermark": {"op": "watermark", "text": "mediagate"},
    "save webp": {"op": "save", "format": "webp"},
    "save avif": {"op": "save", "format": "avif"},
    "save jpeg": {"op": "save", "format": "jpeg"},
    "save png": {"op": "save", "format": "png"},
}
ALONE: Mapping[str, Mapping[str, Any]] = {
    "straighten": {"op": "straighten", "degrees": 5},
    "deskew": {"op": "deskew"},
    "extend_canvas": {"op": "extend_canvas", "aspect": "1:1", "background": "#ff0000"},
    "change_dimensions": {"op": "change_dimensions", "width": 1000, "height": 1000},
    "orient": {"op": "orient"},
    "auto_contrast": {"op": "auto_contrast"},
    "white_balance": {"op": "white_balance"},
    "denoise": {"op": "denoise"},
    "low_light": {"op": "low_light"},
    "clahe": {"op": "clahe"},
    "remove_background": {"op": "remove_background"},
    "upscale by Lanczos": {"op": "upscale", "method": "lanczos"},
    "save gif": {"op": "save", "format": "gif"},
    "save pdf": {"op": "save", "format": "pdf"},
    "save png, 256 colours": {"op": "save", "format": "png", "colours": 256},
    "save png, recompressed": {"op": "save", "format": "png", "recompress": True},
}
"""Operations that no peer has, or that cost what another one does."""
PORTRAIT = Path(__file__).parents[1] / "tests" / "data" / "moderation" / "astronaut.png"
MAGICK: Mapping[str, str] = {
    "resize to a half": "-filter Lanczos -resize 50%",
    "crop to a half": "-gravity center -crop 50%x50%+0+0 +repage",
    "rotate by 90": "-rotate 90",
    "rotate by 10": "-background black -rotate 10",
    "flip": "-flip",
    "mirror": "-flop",
    "pad": "-bordercolor red -border 100",
    "trim": "-fuzz 4% -trim +repage",
    "look": "-sepia-tone 80%",
    "blur": "-blur 0x5",
    "sharpen": "-unsharp 0x1+1+0.01",
    "pixelate": "-scale 6.25% -scale 1600%",
    "vignette": "-background black -vignette 0x200",
    "grain": "-attenuate 0.2 +noise Gaussian",
    "watermark": "-gravity southeast -pointsize 200 -fill #ffffff80 -annotate +50+50 mediagate",
    "save webp": "-quality 80 -define webp:method=4 webp:",
    "save jpeg": "-quality 80 -interlace JPEG jpeg:",
    "save png": "-quality 65 png:",
}
MEGAPIXELS = (2, 12)
DPIS = (150, 350)
"""With which an A4 page has about as many."""
TARGET = 2.0


def rows(size: Size) -> list[Row]:
    """Compare each operation with the fastest peer that has it."""
    made = []
    for megapixels in MEGAPIXELS if size.is_whole else (0.01,):
        costs = _measured(_picture(megapixels), size.runs)
        ours = costs.pop("mediagate")
        for case in CASES:
            peers = {name: theirs[case] for name, theirs in costs.items() if case in theirs}
            fastest = min(peers.values(), key=median, default=())
            target = TARGET if peers else None
            what = f"{case}, {megapixels:g} MP"
            made.append(Row(what, "ms", ours[case], target, "lower", fastest, _named(peers)))
    return made


def _named(peers: Mapping[str, list[float]]) -> str:
    """Return all peers with their times, the fastest first."""
    ordered = sorted(peers.items(), key=lambda item: median(item[1]))
    return ", ".join(f"{name} {median(times):.0f}" for name, times in ordered)


def _picture(megapixels: float) -> Image.Image:
    with Image.open(photos.of_kind("12mp-upright", 1)[0]) as image:
        whole = image.convert("RGB")
    scale = (megapixels * 1e6 / prod(whole.size)) ** 0.5
    return whole.resize((round(whole.width * scale), round(whole.height * scale)))


def _measured(picture: Image.Image, runs: int) -> dict[str, dict[str, list[float]]]:
    """Return for each contestant the milliseconds of each run of each operation."""
    shop = workshop()
    with TemporaryDirectory() as folder:
        ppm = Path(folder, "picture.ppm")
        picture.save(ppm)
        commands = {
            "sharp": ([str(shop.node), str(PEERS / "operations.js")], dict(shop.environment)),
            "pyvips": ([str(shop.python), str(PEERS / "operations_pyvips.py")], dict(os.environ)),
        }
        costs: dict[str, dict[str, list[float]]] = {"mediagate": _ours(picture, runs)}
        for name, (words, environment) in commands.items():
            answer = subprocess.run(
                [*words, str(ppm), str(runs)], env=environment, check=True, stdout=subprocess.PIPE
            ).stdout
            costs[name] = json.loads(answer)
        if program := imagemagick():
            costs["ImageMagick"] = _magick(program, ppm, runs)
    return costs


def _ours(picture: Image.Image, runs: int) -> dict[str, list[float]]:
    limit_threads()
    return {case: [_step(picture, step)[0] for _ in range(runs + 1)][1:] for case, step in CASES.items()}


def _fitting(picture: Image.Image, step: Mapping[str, Any]) -> Image.Image:
    """Return a picture of the same size that the operation does not leave as it is."""
    if step["op"] == "low_light":
        return picture.point([level // 4 for level in range(256)] * 3)
    if step["op"] == "remove_background":
        with Image.open(PORTRAIT) as portrait:
            return portrait.convert("RGB").resize(picture.size)
    return picture


def _step(picture: Image.Image, step: Mapping[str, Any]) -> tuple[float, Frames | File | Mapping[str, Any]]:
    params = parse([dict(step)], OPERATIONS).steps[0].params
    operation: Operation[Any] = OPERATIONS[step["op"]]
    began = process_time()
    result = operation.apply(Frames((picture,)), params, Context())
    return (process_time() - began) * 1000, result


def imagemagick() -> str | None:
    """Return the command of ImageMagick, ``None`` if it is not installed."""
    for name in ("magick", "convert"):
        if command := shutil.which(name):
            answer = subprocess.run([command, "-version"], check=False, capture_output=True, text=True)
            if "ImageMagick" in answer.stdout.partition("\n")[0]:
                return command
    return None


def _magick(command: str, ppm: Path, runs: int) -> dict[str, list[float]]:
    nothing = min(_convert(command, ppm, "ppm:") for _ in range(3))
    costs = {}
    for case, options in MAGICK.items():
        target = "" if options.endswith(":") else " ppm:"
        # It may lack a library or a font.
        with contextlib.suppress(subprocess.CalledProcessError):
            costs[case] = [max(0.1, _convert(command, ppm, options + target) - nothing) for _ in range(runs)]
    return costs


def _convert(command: str, ppm: Path, options: str) -> float:
    *words, target = options.split()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # One thread, as the others use for one operation.
    environment = {**os.environ, "MAGICK_THREAD_LIMIT": "1"}
    subprocess.run([command, str(ppm), *words, f"{target}/dev/null"], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def details(size: Size) -> None:
    """Print what the operations cost that no peer has."""
    print("\n| operation | " + " | ".join(f"{megapixels} MP" for megapixels in MEGAPIXELS) + " |")
    print("| --- |" + " --- |" * len(MEGAPIXELS))
    pictures = [_picture(megapixels if size.is_whole else 0.01) for megapixels in MEGAPIXELS]
    for case, step in ALONE.items():
        fitting = [_fitting(picture, step) for picture in pictures]
        times = [median(_step(picture, step)[0] for _ in range(size.runs)) for picture in fitting]
        print(f"| {case} | " + " | ".join(f"{time:.0f} ms" for time in times) + " |")
    times = [median(_page(dpi)[0] for _ in range(size.runs)) for dpi in (DPIS if size.is_whole else (72,))]
    print("| render an A4 page of text | " + " | ".join(f"{time:.0f} ms" for time in times) + " |")


def _page(dpi: int) -> tuple[float, int]:
    """Return the milliseconds of opening a document and rendering its page, and the pixels of the page."""
    recipe = parse([{"op": "render", "dpi": dpi}], OPERATIONS)
    source = Source(formats=("pdf",), visibility="private", ttl=timedelta(hours=1))
    began = process_time()
    decoded, _ = documents.rendered(a_page_of_text(), recipe, 1, source, None)
    return (process_time() - began) * 1000, prod(decoded.frames[0].size)


def print_costs(megapixels: float, runs: int) -> None:
    """Print nanoseconds and bytes a pixel of each operation, each in a process of its own."""
    picture = _picture(megapixels)
    limit_threads()
    for case, step in {**CASES, **ALONE}.items():
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, json.dumps(_cost(picture, step, runs)).encode())
            os._exit(0)
        os.close(write)
        os.wait()
        with os.fdopen(read) as answer:
            ns, bytes_ = json.loads(answer.read())
        print(f"{case:24} {ns:8.1f} ns {bytes_:6.1f} bytes", flush=True)
    _page(72)  # loads the library
    before = _peak()
    runs_of_page = [_page(DPIS[-1]) for _ in range(runs)]
    ms, pixels = min(runs_of_page)
    grown = (_peak() - before) / pixels
    print(f"{'render':24} {ms * 1e6 / pixels:8.1f} ns {grown:6.1f} bytes", flush=True)


def _cost(picture: Image.Image, step: Mapping[str, Any], runs: int) -> tuple[float, float]:
    picture = _fitting(picture, step)
    _step(picture.crop((0, 0, 64, 64)), step)  # loads what is loaded once
    before = _peak()
    ms, result = _step(picture, step)
    ms = min([ms, *(_step(picture, step)[0] for _ in range(runs - 1))])
    pixels = max(prod(picture.size), result.pixels if isinstance(result, Frames) else 0)
    kept = 4 * result.pixels if isinstance(result, Frames) and result.images[0] is not picture else 0
    return ms * 1e6 / pixels, max(0, _peak() - before - kept) / pixels


def _peak() -> int:
    """Return the largest address space of this process so far, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmPeak"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Print the costs, or the comparison."""
    parser = argparse.ArgumentParser(prog="python -m bench.operations", description=__doc__.splitlines()[0])
    parser.add_argument("--costs", action="store_true", help="print the table of costs")
    add_smallest(parser)
    options = parser.parse_args()
    size = Size(1, 2, 0.01) if options.smallest else Size()
    if options.costs:
        print_costs(12 if size.is_whole else 0.01, size.runs)
        return
    print_rows("operations", rows(size))
    details(size)


if __name__ == "__main__":
    main()
