"""Lack of memory is always reported as such, never as damage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mediagate.images.pixels.allocation import ran_out_of_memory

pytestmark = pytest.mark.slow

PROGRAM = """
import ctypes, io, os, resource, sys
from PIL import Image
from mediagate.images import pixels, render
from mediagate.config import Source, VariantSpec
from mediagate.errors import ImageTooLarge
from mediagate.images.pixels.allocation import ran_out_of_memory
from mediagate.images.memory import MALLOC

for parameter, value in MALLOC.items():
    ctypes.CDLL(None).mallopt(parameter, value)
pixels.limit_threads()
image_format, count = sys.argv[1], int(sys.argv[2])
frames = [Image.effect_noise((45, 36), 90).convert("RGB").resize((300, 240)).convert("RGBA") for _ in range(count)]
frames[0].putalpha(Image.linear_gradient("L").resize((300, 240)))
file = io.BytesIO()
moving = {"save_all": True, "append_images": frames[1:], "duration": 100} if count > 1 else {}
frames[0].save(file, image_format, **moving)
variants = {name: VariantSpec(width=270, format=name) for name in ("webp", "png", "jpeg")}
source = Source(animation="keep", effort=1, variants=variants)

def outcome(mib):
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (int(used + mib * 2**20),) * 2)
        try:
            render.render(file.getvalue(), source, (0.5, 0.5), None, threads=2)
            told = "published"
        except Exception as exc:
            known = isinstance(exc, ImageTooLarge) or ran_out_of_memory(exc)
            told = "memory" if known else f"{exc!r} from {exc.__cause__!r}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as answers:
        return answers.read() or "died"

print(*sorted({outcome(mib) for mib in (1, 2, 3, 4, 5, 6, 7, 9.5, 11, 14, 400)}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and limits of the address space")
@pytest.mark.parametrize(("image_format", "count"), [("PNG", 1), ("GIF", 3), ("WEBP", 3)])
def test_render_without_memory_is_reported_as_lack_of_memory(image_format: str, count: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, image_format, str(count)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "memory published\n"


PEAK = """
import io, sys
from pathlib import Path
from PIL import Image
from mediagate.config import Source, VariantSpec
from mediagate.images import pixels, render
from mediagate.images.memory import Memory, tune_allocator

def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))

tune_allocator()
pixels.limit_threads()
qualities = map(int, sys.argv[3:])
variants = {str(width): VariantSpec(width=width) for width in (64, 256, 640, 1280, 1920)}
variants |= {f"of-{quality}": VariantSpec(width=1920, quality=quality) for quality in qualities}
source = Source(variants=variants, original=sys.argv[1])
photo = Image.open(sys.argv[2])
photo.resize((500, 375)).save(small := io.BytesIO(), "JPEG")
photo.resize((4000, 3000)).save(large := io.BytesIO(), "JPEG", quality=90)
render.render(small.getvalue(), source, (0.5, 0.5), None)
del photo
Memory().give_back()
idle = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
render.render(large.getvalue(), source, (0.5, 0.5), None)
print(memory("VmHWM") - idle)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(("original", "decoded"), [("delete", (2000, 1500)), ("keep", (4000, 3000))])
def test_rendering_holds_the_decoded_picture_and_its_sizes_and_little_else(
    original: str, decoded: tuple[int, int], data: Path
) -> None:
    photo = data / "photos" / "photo_2725x2225.jpg"
    done = subprocess.run(
        [sys.executable, "-c", PEAK, original, str(photo)], capture_output=True, text=True, check=True
    )
    held = sum(4 * width * height for width, height in (decoded, (1920, 1440), (1280, 960), (640, 480), (256, 192)))
    assert int(done.stdout) < held + (6 << 20)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR adding frame. WebPEncodingError: 1",
        "encoding error 2: Bitstream out of memory",
        "ERROR adding frame. WebPMuxError: -3",
        "Failed to encode image: Encoding of alpha plane failed",
        "out of memory error when writing image file",
        "codec configuration error when writing image file",
    ],
)
def test_ran_out_of_memory_recognises_messages_of_encoders(said: str) -> None:
    assert ran_out_of_memory(RuntimeError(said))


@pytest.mark.parametrize(
    "said",
    [
        "Failed to decode frame 0: Decoding of color planes failed",
        "could not create decoder object",
        "encoding error 6: PARTITION0_OVERFLOW: Partition #0 is too big to fit 512k",
        "broken data stream when reading image file",
    ],
)
def test_ran_out_of_memory_rejects_damage_and_other_faults(said: str) -> None:
    assert not ran_out_of_memory(OSError(said))
