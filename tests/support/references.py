"""Pictures made the slow and plain way, and how far the ones of the image engine are from them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""
Plane = NDArray[np.float32]
Floats = NDArray[np.float64]

SRGB = ImageCms.createProfile("sRGB")
BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
LANCZOS = Image.Resampling.LANCZOS


def opened(data: bytes) -> Image.Image:
    """Return the whole picture of a file as a browser turns it, in the file's own colours."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def in_srgb(image: Image.Image) -> Image.Image:
    """Return a picture as ``RGB`` or ``RGBA``, each of its pixels converted by its own profile."""
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = Image.fromarray(np.rint(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if not icc:
        return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    converted = ImageCms.profileToProfile(
        image.convert({"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L"}[profile.profile.xcolor_space]),
        profile,
        SRGB,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def resized(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return a box of an sRGB picture at another size by one Lanczos filter; alpha is premultiplied, in floats."""
    if image.mode == "RGB":
        return image.resize(size, LANCZOS, box=box)
    pixels = np.asarray(image, dtype=np.float32)
    pixels[..., :3] *= pixels[..., 3:] / 255
    planes = [np.asarray(Image.fromarray(pixels[..., at]).resize(size, LANCZOS, box=box)) for at in range(4)]
    small = np.stack(planes, axis=-1).clip(0, 255)
    small[..., :3] /= np.where(small[..., 3:] < 0.5, np.inf, small[..., 3:] / 255)
    return Image.fromarray(np.rint(small.clip(0, 255)).astype(np.uint8))


def reference(data: bytes, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return what a variant should look like: decoded whole, upright, in sRGB, then resized once."""
    return resized(in_srgb(opened(data)), size, box)


def on(image: Image.Image, grey: int) -> Image.Image:
    """Return a picture as it looks on a plain background."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, (grey, grey, grey, 255)), image).convert("RGB")


def luma(image: Image.Image) -> Plane:
    """Return the grey values of a picture, 0-255."""
    return np.asarray(image.convert("L"), dtype=np.float32)


def ssim(image: Image.Image, other: Image.Image) -> float:
    """Return the mean structural similarity of the grey values, with the Gaussian window of Wang et al. (2004)."""
    return float(
        structural_similarity(
            luma(image), luma(other), data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def sharpness(image: Image.Image, like: Image.Image) -> float:
    """Return the energy of the finest details (variance of the Laplacian) in ratio to another picture's."""
    return float(_laplacian(luma(image)).var() / _laplacian(luma(like)).var())


def colour_difference(image: Image.Image, other: Image.Image) -> float:
    """Return the mean CIEDE2000 of two opaque pictures of one size; below 1 nobody sees it.

    Large pictures are looked at in a grid of points.
    """
    assert image.size == other.size
    step = 1 + max(image.size) // 300
    first, second = (rgb2lab(np.asarray(each)[::step, ::step]) for each in (image, other))
    return float(deltaE_ciede2000(first, second).mean())


def waves_told(blurhash: str) -> tuple[Floats, Floats]:
    """Return the average sRGB colour (0-255) of a BlurHash, and its waves in ratio to the highest (rows of three)."""
    average = _base83(blurhash[2:6])
    pairs = [_base83(blurhash[at : at + 2]) for at in range(6, len(blurhash), 2)]
    steps = np.array([(pair // 361, pair // 19 % 19, pair % 19) for pair in pairs]) - 9
    return np.array([average >> 16, average >> 8 & 255, average & 255], float), np.sign(steps) * (steps / 9) ** 2


def waves_of(image: Image.Image, across: int, down: int) -> tuple[Floats, Floats]:
    """Return the same of a picture, by the definition of BlurHash, with waves taken at the middles of pixels."""
    pixels = np.asarray(image.convert("RGB"), dtype=float) / 255
    linear = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    height, width, _ = linear.shape
    columns = np.cos(np.pi / width * np.outer(np.arange(across), np.arange(width) + 0.5))
    rows = np.cos(np.pi / height * np.outer(np.arange(down), np.arange(height) + 0.5))
    waves = np.einsum("hwc,aw,dh->dac", linear, columns, rows).reshape(-1, 3) / (width * height)
    mean = waves[0]
    average = np.where(mean <= 0.0031308, mean * 12.92, 1.055 * mean ** (1 / 2.4) - 0.055) * 255
    return average, waves[1:] / np.abs(waves[1:]).max()


def _base83(text: str) -> int:
    value = 0
    for character in text:
        value = value * 83 + BASE83.index(character)
    return value


def _laplacian(plane: Plane) -> Plane:
    sides = plane[:-2, 1:-1] + plane[2:, 1:-1] + plane[1:-1, :-2] + plane[1:-1, 2:]
    return sides - 4 * plane[1:-1, 1:-1]
