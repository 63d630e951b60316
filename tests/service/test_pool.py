"""Image processes that crash, hang, grow or are killed: one image ends, the others and the host go on."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import poison
import pytest
from PIL import Image
from poison import Poison

from mediagate import Moderator, Source, VariantSpec
from mediagate.errors import (
    AnimationRefused,
    ConfigError,
    ImageCrashed,
    ImageTimeout,
    ImageTooLarge,
    MediagateError,
    ModerationFailed,
    ShuttingDown,
    UndecodableImage,
    UnsupportedType,
)
from mediagate.pool import ImagePool

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


@asynccontextmanager
async def opened(
    moderator: Moderator | None = None, *, processes: int = 1, timeout_s: float = 30, memory_bytes: int = 512 * MIB
) -> AsyncIterator[ImagePool]:
    pool = ImagePool(processes=processes, memory_bytes=memory_bytes, timeout_s=timeout_s, moderator=moderator)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pool.close)
        await pool.open()
        yield pool
    assert not multiprocessing.active_children()


def picture(width: int, height: int = 64) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, "PNG")
    return file.getvalue()


POISONED = picture(128)
HARMLESS = picture(100)


async def test_every_bad_file_is_refused_and_nothing_breaks(data: Path, photo: bytes) -> None:
    bad = sorted((data / "bad").iterdir())
    assert len(bad) > 40
    source = Source(animation="keep")
    async with opened(processes=2) as pool:
        processes = {child.pid for child in multiprocessing.active_children()}
        for path in bad:
            with pytest.raises((UnsupportedType, UndecodableImage, ImageTooLarge)) as refused:
                await pool.render(path.read_bytes(), source)
            assert str(path.parent) not in refused.value.detail
            # A header may be in order where the pixels are not; what the probe refuses, it refuses in the same way.
            try:
                info = await pool.probe(path, source)
            except MediagateError as exc:
                assert type(exc) is refused.type
            else:
                assert info.width * info.height <= source.max_pixels
        assert (await pool.render(photo, source)).info.width == 128
        assert {child.pid for child in multiprocessing.active_children()} == processes, "a bad file ended a process"


async def test_a_probe_reads_headers_and_keeps_the_limits(data: Path) -> None:
    async with opened(processes=0) as pool:
        info = await pool.probe(data / "photos" / "dog_exif_xmp_icc.jpg", Source())
        assert (info.format, info.width, info.height, info.frames) == ("jpeg", 3024, 4032, 1)
        with pytest.raises(ImageTooLarge, match="4032 x 3024 pixels; up to 1,000,000"):
            await pool.probe(data / "photos" / "dog_exif_xmp_icc.jpg", Source(max_pixels=1_000_000))
        with pytest.raises(AnimationRefused, match="send a still one"):
            await pool.probe(data / "formats" / "rotating-squares.gif", Source(animation="reject"))
        with pytest.raises(ImageTooLarge, match="30 frames; up to 29"):
            await pool.probe(data / "formats" / "rotating-squares.gif", Source(animation="keep", max_frames=29))
        with pytest.raises(UnsupportedType, match="no picture of an accepted format"):
            await pool.probe(data / "README.md", Source())
        with pytest.raises(ConfigError, match="worker=False"):
            await pool.render(HARMLESS, Source())


@pytest.mark.parametrize(("deed", "died"), [(poison.crash, "SIGSEGV"), (poison.leave, "exit code 3")])
async def test_a_crash_ends_its_own_image_only(deed: Callable[[], None], died: str) -> None:
    async with opened(Poison(deed), processes=2) as pool:
        rendered = await asyncio.gather(
            *(pool.render(POISONED if n == 2 else HARMLESS, Source()) for n in range(8)), return_exceptions=True
        )
        crashed = rendered.pop(2)
        assert isinstance(crashed, ImageCrashed)
        assert died in crashed.detail
        assert [type(result).__name__ for result in rendered] == ["Rendered"] * 7
        assert (await pool.render(HARMLESS, Source())).verdict.model == "poison", (
            "the new process has the moderator too"
        )


async def test_an_image_that_hangs_is_ended_while_the_others_finish() -> None:
    async with opened(Poison(poison.hang), processes=2, timeout_s=2) as pool:
        started = time.monotonic()
        hung, *others = await asyncio.gather(
            pool.render(POISONED, Source()),
            *(pool.render(HARMLESS, Source()) for _ in range(4)),
            return_exceptions=True,
        )
        assert isinstance(hung, ImageTimeout)
        assert "2 s" in hung.detail
        assert [type(result).__name__ for result in others] == ["Rendered"] * 4
        assert 2 <= time.monotonic() - started < 8
        assert (await pool.render(HARMLESS, Source())).variants


async def test_memory_is_limited_for_each_image() -> None:
    huge = picture(6000, 6000)
    async with opened(Poison(poison.hog), memory_bytes=128 * MIB) as pool:
        processes = {child.pid or 0 for child in multiprocessing.active_children()}
        for _ in range(3):
            with pytest.raises(ImageTooLarge, match="memory"):
                await pool.render(POISONED, Source())
            with pytest.raises(ImageTooLarge, match="memory"):
                await pool.render(huge, Source())
            assert (await pool.render(HARMLESS, Source())).variants
        assert {child.pid for child in multiprocessing.active_children()} == processes, "it cost a process"
        assert all(resident(process) < 300 * MIB for process in processes), "what was refused is still held"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
async def test_too_little_memory_is_never_taken_for_damage_and_never_crashes(image_format: str) -> None:
    coarse = Image.effect_noise((250, 200), 90).convert("RGB").resize((2000, 1600))
    file = io.BytesIO()
    coarse.save(file, image_format)
    source = Source(variants={"a": VariantSpec(width=1920), "b": VariantSpec(width=400, format="avif", effort=2)})
    outcomes = []
    for mib in (8, 24, 36, 48, 64, 96, 128, 192, 300):
        async with opened(memory_bytes=mib * MIB) as pool:
            try:
                outcomes.append(bool((await pool.render(file.getvalue(), source)).variants))
            except ImageTooLarge:
                outcomes.append(False)
    assert outcomes[0] is False
    assert outcomes[-1] is True
    assert outcomes == sorted(outcomes)


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_moderator_that_raises_publishes_nothing_and_tells_no_secrets() -> None:
    async with opened(Poison(poison.fail)) as pool:
        with pytest.raises(ModerationFailed) as failed:
            await pool.render(POISONED, Source())
    assert failed.value.detail == "the moderator failed with ValueError; the log has its words"
    assert failed.value.retryable


async def test_processes_that_are_killed_while_idle_are_replaced(data: Path) -> None:
    path = data / "formats" / "hopper.jpg"
    async with opened(processes=2) as pool:
        for _ in range(2):
            children = multiprocessing.active_children()
            assert len(children) == 3
            for child in children:
                child.kill()
            await asyncio.sleep(0.2)
            assert (await pool.probe(path, Source())).width == 128
            done = await asyncio.gather(*(pool.render(HARMLESS, Source()) for _ in range(4)))
            assert all(rendered.variants for rendered in done)


async def test_processes_that_are_killed_at_any_moment_end_one_image_each() -> None:
    async with opened(processes=2) as pool:
        results: list[object] = []

        async def renders() -> None:
            for _ in range(15):
                results.extend(await asyncio.gather(pool.render(picture(700, 700), Source()), return_exceptions=True))

        working = asyncio.gather(renders(), renders())
        for _ in range(10):
            await asyncio.sleep(0.13)
            for child in multiprocessing.active_children()[:1]:
                child.kill()
        await working
        assert len(results) == 30
        kinds = {type(result).__name__ for result in results}
        assert kinds <= {"Rendered", "ImageCrashed"}
        assert (await pool.render(HARMLESS, Source())).variants


async def test_a_stopped_process_is_ended_by_its_time_limit() -> None:
    large = os.urandom(5 * MIB)  # more than a pipe holds: sending it would block for ever
    async with opened(timeout_s=1) as pool:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGSTOP)
        with pytest.raises(ImageTimeout):
            await pool.render(large, Source())
        assert (await pool.render(HARMLESS, Source())).variants


async def test_uploads_are_probed_while_every_renderer_is_busy(data: Path) -> None:
    async with opened(Poison(poison.hang), processes=1, timeout_s=3) as pool:
        rendering = asyncio.gather(*(pool.render(POISONED, Source()) for _ in range(2)), return_exceptions=True)
        await asyncio.sleep(0.2)
        started = time.monotonic()
        assert (await pool.probe(data / "formats" / "hopper.jpg", Source())).width == 128
        assert time.monotonic() - started < 1.5
        assert [type(result).__name__ for result in await rendering] == ["ImageTimeout"] * 2


async def test_a_cancelled_render_gives_its_process_back() -> None:
    async with opened(Poison(poison.sleep)) as pool:
        rendering = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.sleep(0.3)
        rendering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rendering
        assert (await pool.render(HARMLESS, Source())).variants


async def test_closing_never_waits_for_an_image() -> None:
    pool = ImagePool(processes=1, memory_bytes=512 * MIB, timeout_s=60, moderator=Poison(poison.hang))
    await pool.close()
    await pool.open()
    await pool.open()
    assert len(multiprocessing.active_children()) == 2
    running, waiting = (asyncio.create_task(pool.render(POISONED, Source())) for _ in range(2))
    await asyncio.sleep(0.3)
    started = time.monotonic()
    await asyncio.gather(pool.close(), pool.close())
    for rendering in (running, waiting):
        with pytest.raises(ShuttingDown):
            await rendering
    assert time.monotonic() - started < 3
    await pool.close()
    with pytest.raises(ShuttingDown):
        await pool.render(HARMLESS, Source())
    with pytest.raises(ShuttingDown):
        await pool.probe(Path(__file__), Source())
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("at_start", "told"),
    [
        (poison.fail, "the image processes cannot start: ValueError: cannot read /srv/secret/model.onnx"),
        (poison.crash, "an image process does not start: the image process died .SIGSEGV"),
        (poison.hog, None),
    ],
)
async def test_a_moderator_that_cannot_be_prepared_stops_the_start(
    at_start: Callable[[], None], told: str | None
) -> None:
    pool = ImagePool(processes=2, memory_bytes=512 * MIB, timeout_s=5, moderator=Poison(at_start=at_start))
    if told is None:  # the limit is for images; a model may need more
        await pool.open()
        await pool.close()
    else:
        with pytest.raises(ConfigError, match=told):
            await pool.open()
    assert not multiprocessing.active_children()


async def test_a_moderator_that_cannot_be_sent_stops_the_start() -> None:
    pool = ImagePool(processes=1, memory_bytes=512 * MIB, timeout_s=5, moderator=Poison(lambda: None))
    with pytest.raises(ConfigError, match="define its class in a module"):
        await pool.open()


async def test_ctrl_c_is_left_to_the_host() -> None:
    async with opened(Poison(poison.sleep)) as pool:
        rendering = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.sleep(0.3)
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGINT)
        assert (await rendering).variants


HOST = """
import asyncio, multiprocessing, sys
from mediagate import Source
from mediagate.pool import ImagePool
import poison

async def main():
    pool = ImagePool(processes=2, memory_bytes=2**29, timeout_s=60, moderator=poison.Poison(poison.hang))
    await pool.open()
    assert "PIL" not in sys.modules, "the host itself loads no decoder"
    asyncio.create_task(pool.render(open(sys.argv[1], "rb").read(), Source()))
    await asyncio.sleep(0.3)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_no_process_outlives_a_host_that_is_killed(tmp_path: Path) -> None:
    host, upload = tmp_path / "host.py", tmp_path / "upload.png"
    host.write_text(HOST)
    upload.write_bytes(POISONED)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, host, upload], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        children = [int(pid) for pid in process.stdout.readline().split()]
        assert len(children) == 3
        assert all(alive(pid) for pid in children)
        process.kill()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline, "an image process outlived its host"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_script_that_is_not_guarded_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(HOST.partition("if __name__")[0] + "asyncio.run(main())\n")
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    told = subprocess.run(
        [sys.executable, script, __file__],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert told.returncode
    assert "let it begin its work under `if __name__ == '__main__':`" in told.stderr
