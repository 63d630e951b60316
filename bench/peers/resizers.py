"""Four libraries resize the same decoded photo to five widths: each from the next larger size, one also directly.

Printed: CPU milliseconds on one thread; SSIM (Wang et al. 2004, Gaussian window) and sharpness (variance of the
Laplacian) against Pillow's direct Lanczos resize; the worst fringe where a soft edge meets full transparency (0-255,
premultiplied or not); and what a process grows by (first photo). Pictures go from Pillow and back to it, as the engine
would do.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import cykooz_resizer
import numpy as np
import pyvips
from PIL import Image, ImageDraw

Resize = Callable[[Image.Image, tuple[int, int]], Image.Image]
WIDTHS = (1920, 1280, 640, 256, 64)


def pillow(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def engine(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Do as mediagate: bicubic below half."""
    kernel = Image.Resampling.BICUBIC if image.width < 2 * size[0] else Image.Resampling.LANCZOS
    return image.resize(size, kernel, reducing_gap=2.0)


def libvips(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    pixels = pyvips.Image.new_from_memory(image.tobytes(), image.width, image.height, len(image.mode), "uchar")
    alpha = image.mode == "RGBA"
    if alpha:
        pixels = pixels.premultiply()
    pixels = pixels.resize(size[0] / image.width, vscale=size[1] / image.height, kernel="lanczos3")
    if alpha:
        pixels = pixels.unpremultiply().cast("uchar")
    return Image.frombytes(image.mode, (pixels.width, pixels.height), pixels.write_to_memory())


def opencv(interpolation: int) -> Resize:
    def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
        return Image.fromarray(cv2.resize(np.asarray(image), size, interpolation=interpolation))

    return resize


def simd(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    made = Image.new(image.mode, size)
    kernel = cykooz_resizer.ResizeAlg.convolution(cykooz_resizer.FilterType.lanczos3)
    cykooz_resizer.Resizer().resize_pil(image, made, cykooz_resizer.ResizeOptions(kernel))
    return made


DIRECT = "cykooz-resizer, each from the picture, as mediagate"
RESIZERS: dict[str, Resize] = {
    "Pillow, Lanczos": pillow,
    "Pillow, as mediagate without the extra": engine,
    "cykooz-resizer, Lanczos": simd,
    DIRECT: simd,
    "libvips, Lanczos": libvips,
    "OpenCV, area": opencv(cv2.INTER_AREA),
    "OpenCV, linear": opencv(cv2.INTER_LINEAR),
    "OpenCV, cubic": opencv(cv2.INTER_CUBIC),
    "OpenCV, Lanczos": opencv(cv2.INTER_LANCZOS4),
}


def made(name: str, image: Image.Image) -> list[Image.Image]:
    """Return the picture in all sizes."""
    sizes: list[Image.Image] = []
    for width in WIDTHS:
        larger = image if name == DIRECT or not sizes else sizes[-1]
        sizes.append(RESIZERS[name](larger, (width, round(image.height * width / image.width))))
    return sizes


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), dtype=np.float32)


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    def blurred(pixels: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(pixels, (11, 11), 1.5)[5:-5, 5:-5]

    a, b = blurred(one), blurred(other)
    aa, bb, ab = blurred(one * one) - a * a, blurred(other * other) - b * b, blurred(one * other) - a * b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * a * b + c1) * (2 * ab + c2) / ((a * a + b * b + c1) * (aa + bb + c2))))


def sharpness(pixels: np.ndarray) -> float:
    return float(cv2.Laplacian(pixels, cv2.CV_32F).var())


def fringe(resize: Resize) -> int:
    """Shrink a white disc on transparent black; wherever it is half visible, it must still be white."""
    disc = Image.new("RGBA", (900, 900))
    ImageDraw.Draw(disc).ellipse((100, 100, 800, 800), fill=(255, 255, 255, 255))
    small = np.asarray(resize(disc, (301, 301)))
    edge = small[(small[..., 3] > 64) & (small[..., 3] < 192)]
    return 255 - int(edge[:, :3].min())


def peak_mb(name: str, image: Image.Image) -> float:
    def told(field: str) -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
        return int(line.split()[1])

    ours, theirs = os.pipe()
    if not os.fork():  # each in a process that has resized nothing before
        idle = told("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        made(name, image)
        os.write(theirs, str((told("VmHWM") - idle) / 1024).encode())
        os._exit(0)
    os.wait()
    return float(os.read(ours, 100))


def main() -> None:
    cv2.setNumThreads(1)
    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    peaks = {}
    runs, *paths = sys.argv[1:]
    for path in paths:
        with Image.open(path) as opened:
            opened.draft(None, (WIDTHS[0], round(opened.height * WIDTHS[0] / opened.width)))
            image = opened.copy()
        print(f"\n### {Path(path).name}, decoded at {image.width} x {image.height}\n")
        print("| resizer | CPU ms | SSIM 1920 / 1280 / 640 / 256 | sharpness | fringe | peak MB |")
        print("| --- | --- | --- | --- | --- | --- |")
        peaks = peaks or {name: peak_mb(name, image) for name in RESIZERS}
        taken: dict[str, list[float]] = {name: [] for name in RESIZERS}
        for _ in range(int(runs)):
            for name in RESIZERS:
                started = time.process_time()
                made(name, image)
                taken[name].append((time.process_time() - started) * 1000)
        for name, resize in RESIZERS.items():
            pairs = [(grey(ours), grey(pillow(image, ours.size))) for ours in made(name, image)[:-1]]
            alike = " / ".join(f"{ssim(ours, right):.4f}" for ours, right in pairs)
            sharp = " / ".join(f"{sharpness(ours) / sharpness(right):.2f}" for ours, right in pairs)
            ms = median(taken[name])
            print(f"| {name} | {ms:.0f} | {alike} | {sharp} | {fringe(resize)} | {peaks[name]:.0f} |")


if __name__ == "__main__":
    main()
