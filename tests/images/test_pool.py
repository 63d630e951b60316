"""The pool: a crash, a hang, too much memory or a kill fails one image; the others and the host continue."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mediagate import Source, VariantSpec
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
from mediagate.images import ImagePool
from mediagate.observe import ImageProcessEnd, Observer
from tests.support import poison
from tests.support.charts import saved
from tests.support.forked import (
    HARMLESS,
    MIB,
    POISONED,
    alive,
    children,
    cpu_s,
    image_processes,
    opened,
    picture,
    resident,
    threads,
    until_dead,
    until_used,
)
from tests.support.poison import Poison

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_judge_returns_the_verdict_of_render_without_files(photo: bytes) -> None:
    async with opened(Poison()) as pool:
        rendered, judged = await pool.render(photo, Source()), await pool.judge(photo, Source())
        assert (judged.verdict, judged.info, judged.files) == (rendered.verdict, rendered.info, ())
        assert rendered.files
        assert len((await pool.judge(photo, Source(), previews=320)).previews) >= 1


async def test_bad_files_are_refused_without_ending_a_process(data: Path, photo: bytes) -> None:
    bad = sorted((data / "bad").iterdir())
    assert len(bad) > 40
    source = Source(animation="keep")
    async with opened(processes=2) as pool:
        processes = set(image_processes())
        for path in bad:
            with pytest.raises((UnsupportedType, UndecodableImage, ImageTooLarge)) as refused:
                await pool.render(path.read_bytes(), source)
            assert str(path.parent) not in refused.value.detail
            # The header of a damaged file may be valid; if the probe refuses it, the error is the same.
            try:
                info = await pool.probe(path, source)
            except MediagateError as exc:
                assert type(exc) is refused.type
            else:
                assert info.width * info.height <= source.max_pixels
        assert (await pool.render(photo, source)).info.width == 128
        assert set(image_processes()) == processes, "a bad file ended a process"


async def test_probe_reads_headers_and_enforces_limits(data: Path) -> None:
    async with opened(processes=0) as pool:
        info = await pool.probe(data / "photos" / "dog_exif_xmp_icc.jpg", Source())
        assert (info.format, info.width, info.height, info.frames) == ("jpeg", 3024, 4032, 1)
        with pytest.raises(ImageTooLarge, match="4032 x 3024 pixels; up to 1,000,000"):
            await pool.probe(data / "photos" / "dog_exif_xmp_icc.jpg", Source(max_pixels=1_000_000))
        with pytest.raises(AnimationRefused, match="send a still picture"):
            await pool.probe(data / "formats" / "rotating-squares.gif", Source(animation="reject"))
        with pytest.raises(ImageTooLarge, match="30 frames; up to 29"):
            await pool.probe(data / "formats" / "rotating-squares.gif", Source(animation="keep", max_frames=29))
        with pytest.raises(UnsupportedType, match="not a picture of an accepted format"):
            await pool.probe(data / "README.md", Source())
        with pytest.raises(ConfigError, match="worker=False"):
            await pool.render(HARMLESS, Source())


@pytest.mark.parametrize(("deed", "died"), [(poison.crash, "SIGSEGV"), (poison.leave, "exit code 3")])
async def test_crash_fails_its_own_image_only(deed: Callable[[], None], died: str) -> None:
    async with opened(Poison(deed), processes=2) as pool:
        rendered = await asyncio.gather(
            *(pool.render(POISONED if n == 2 else HARMLESS, Source()) for n in range(8)), return_exceptions=True
        )
        crashed = rendered.pop(2)
        assert isinstance(crashed, ImageCrashed)
        assert died in crashed.detail
        assert [type(result).__name__ for result in rendered] == ["Rendered"] * 7
        assert (await pool.render(HARMLESS, Source())).verdict.model == "poison", "the new process has no moderator"


async def test_hanging_image_times_out_while_the_others_finish() -> None:
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


async def test_render_refuses_more_model_runs_than_fit_into_the_time_limit() -> None:
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in range(0, 250, 5)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    async with opened(Poison(poison.nap, width=64), timeout_s=12) as pool:
        with pytest.raises(ImageTooLarge, match=r"takes 50 runs of the model, and at most \d+ fit into 1[0-9.]+ s"):
            await pool.render(file.getvalue(), Source(animation="keep"))
        assert (await pool.render(file.getvalue(), Source())).model_runs == 1


async def test_memory_limit_refuses_an_image_and_keeps_its_process() -> None:
    huge = picture(6000, 6000)
    async with opened(Poison(poison.hog), memory_bytes=128 * MIB) as pool:
        processes = set(image_processes())
        for _ in range(3):
            with pytest.raises(ImageTooLarge, match="memory"):
                await pool.render(POISONED, Source())
            with pytest.raises(ImageTooLarge, match="memory"):
                await pool.render(huge, Source())
            assert (await pool.render(HARMLESS, Source())).variants
        assert set(image_processes()) == processes, "a process was replaced"
        assert all(resident(process) < 300 * MIB for process in processes), "memory of a refused image is still held"


async def test_image_process_frees_memory_after_a_render(data: Path) -> None:
    photo = (data / "photos" / "photo_2725x2225.jpg").read_bytes()
    async with opened(processes=1) as pool:
        await pool.render((data / "photos" / "exif_gps_tiny.jpg").read_bytes(), Source())
        await asyncio.sleep(0.5)
        before = sum(map(resident, image_processes()))
        for _ in range(3):
            assert (await pool.render(photo, Source())).variants
        await asyncio.sleep(0.5)
        assert sum(map(resident, image_processes())) < before + 10 * MIB


async def test_memory_limit_of_any_size_publishes_or_reports_too_large() -> None:
    coarse = Image.effect_noise((125, 100), 90).convert("RGB").resize((500, 400))
    files = {image_format: saved(coarse, image_format) for image_format in ("JPEG", "PNG", "WEBP", "GIF", "AVIF")}
    source = Source(variants={"a": VariantSpec(width=480), "b": VariantSpec(width=100, format="avif", effort=2)})
    outcomes: dict[str, list[bool]] = {image_format: [] for image_format in files}
    for mib in (2, 8, 16, 24, 28, 32, 36, 48, 75):
        async with opened(memory_bytes=mib * MIB, timeout_s=600) as pool:
            for image_format, data in files.items():
                try:
                    outcomes[image_format].append(bool((await pool.render(data, source)).variants))
                except ImageTooLarge:
                    outcomes[image_format].append(False)
    for image_format, published in outcomes.items():
        assert published[0] is False, image_format
        assert published[-1] is True, image_format
        assert published == sorted(published), image_format


async def test_moderator_exception_fails_the_render_without_its_message() -> None:
    async with opened(Poison(poison.fail)) as pool:
        with pytest.raises(ModerationFailed) as failed:
            await pool.render(POISONED, Source())
    assert failed.value.detail == "the moderator failed with ValueError; see the log"
    assert failed.value.retryable


async def test_processes_killed_while_idle_are_replaced(data: Path) -> None:
    path = data / "formats" / "hopper.jpg"
    async with opened(processes=2) as pool:
        for _ in range(2):
            processes = image_processes()
            assert len(processes) == 4
            for process in processes:
                os.kill(process, signal.SIGKILL)
            await asyncio.sleep(0.2)
            for _ in range(2):
                assert (await pool.probe(path, Source())).width == 128
            done = await asyncio.gather(*(pool.render(HARMLESS, Source()) for _ in range(4)))
            assert all(rendered.variants for rendered in done)


class Ends(Observer):
    """Lists why image processes ended."""

    def __init__(self) -> None:
        self.reasons: list[ImageProcessEnd] = []

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        self.reasons.append(why)


async def test_process_killed_at_any_moment_crashes_at_most_its_own_image(data: Path) -> None:
    ends, kills, results = Ends(), 12, Counter[str]()
    upload = picture(700, 700)
    source = Source(variants={"sm": VariantSpec(width=300, effort=1)}, original="delete")
    async with opened(processes=2, observer=ends) as pool:
        killing = True

        async def renders() -> None:
            while killing:
                (result,) = await asyncio.gather(pool.render(upload, source), return_exceptions=True)
                results[type(result).__name__] += 1

        working = asyncio.gather(renders(), renders())
        chance = random.Random(4)
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0, 0.1))
            process = chance.choice(image_processes())
            os.kill(process, signal.SIGKILL)
            await asyncio.to_thread(until_dead, process)
        killing = False
        await working
        # Every process is asked once more, so that the pool notices each kill.
        last = await asyncio.gather(*(pool.render(HARMLESS, source) for _ in range(2)), return_exceptions=True)
        results.update(type(result).__name__ for result in last)
        probed = await asyncio.gather(*(pool.probe(data / "formats" / "hopper.jpg", source) for _ in range(2)))
        assert [info.width for info in probed] == [128, 128]
        done = await asyncio.gather(*(pool.render(HARMLESS, source) for _ in range(2)))
        assert all(rendered.variants for rendered in done)
    assert set(results) == {"Rendered", "ImageCrashed"}
    assert len(ends.reasons) == kills
    assert 0 < results["ImageCrashed"] <= ends.reasons.count("crashed")


async def test_stopped_process_is_replaced_at_its_time_limit() -> None:
    large = os.urandom(5 * MIB)  # more than a pipe holds: sending it would block for ever
    async with opened(timeout_s=1) as pool:
        for process in image_processes():
            os.kill(process, signal.SIGSTOP)
        with pytest.raises(ImageTimeout):
            await pool.render(large, Source())
        assert (await pool.render(HARMLESS, Source())).variants


async def test_probe_answers_while_every_renderer_is_busy(data: Path) -> None:
    async with opened(Poison(poison.hang), processes=1, timeout_s=1) as pool:
        rendering = asyncio.gather(*(pool.render(POISONED, Source()) for _ in range(2)), return_exceptions=True)
        await asyncio.sleep(0.2)
        started = time.monotonic()
        assert (await pool.probe(data / "formats" / "hopper.jpg", Source())).width == 128
        assert time.monotonic() - started < 1.5
        assert [type(result).__name__ for result in await rendering] == ["ImageTimeout"] * 2


async def test_cancelled_render_frees_its_process() -> None:
    async with opened(Poison(poison.sleep)) as pool:
        rendering = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.sleep(0.3)
        rendering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rendering
        assert (await pool.render(HARMLESS, Source())).variants


async def test_pool_close_does_not_wait_for_images() -> None:
    pool = ImagePool(processes=1, memory_bytes=512 * MIB, timeout_s=60, moderator=Poison(poison.hang))
    await pool.close()
    await pool.open()
    await pool.open()
    assert len(image_processes()) == 3
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
    assert not image_processes()


@pytest.mark.parametrize(
    ("at_start", "told"),
    [
        (poison.fail, "the image processes cannot start: ValueError: cannot read /srv/secret/model.onnx"),
        (poison.crash, "an image process failed to start: the image process died .SIGSEGV"),
    ],
    ids=["exception", "crash"],
)
async def test_pool_open_fails_if_the_moderator_cannot_prepare(at_start: Callable[[], None], told: str) -> None:
    pool = ImagePool(processes=2, memory_bytes=512 * MIB, timeout_s=5, moderator=Poison(at_start=at_start))
    with pytest.raises(ConfigError, match=told):
        await pool.open()
    assert not image_processes()


async def test_pool_open_does_not_limit_the_memory_of_preparing_a_moderator() -> None:
    pool = ImagePool(processes=1, memory_bytes=512 * MIB, timeout_s=5, moderator=Poison(at_start=poison.hog))
    await pool.open()
    await pool.close()
    assert not image_processes()


async def test_pool_open_fails_if_the_moderator_cannot_be_pickled() -> None:
    pool = ImagePool(processes=1, memory_bytes=512 * MIB, timeout_s=5, moderator=Poison(lambda: None))
    with pytest.raises(ConfigError, match="define its class in a module"):
        await pool.open()


async def test_image_processes_ignore_sigint() -> None:
    others = set(children(os.getpid()))
    async with opened(Poison(poison.sleep), server=None) as pool:
        rendering = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.sleep(0.3)
        for process in [*image_processes(), *set(children(os.getpid())) - others]:
            os.kill(process, signal.SIGINT)
        assert (await rendering).variants


HOST = """
import asyncio, sys
from mediagate import Source
from mediagate.images.pool import ImagePool
from tests.support import poison

async def main():
    pool = ImagePool(processes=2, memory_bytes=2**29, timeout_s=60, moderator=poison.Poison(poison.hang))
    await pool.open()
    assert "PIL" not in sys.modules, "the host itself loads no decoder"
    asyncio.create_task(pool.render(open(sys.argv[1], "rb").read(), Source()))
    await asyncio.sleep(0.3)
    print("working", flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_image_processes_end_when_their_host_is_killed(tmp_path: Path) -> None:
    host, upload = tmp_path / "host.py", tmp_path / "upload.png"
    host.write_text(HOST)
    upload.write_bytes(POISONED)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, host, upload], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        (server,) = children(process.pid)
        processes = [server, *children(server)]
        assert len(processes) == 5
        process.kill()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in processes):
        assert time.monotonic() < deadline, "an image process outlived its host"
        time.sleep(0.05)


def run_script(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


SCRIPT = """
import asyncio, sys
from dataclasses import dataclass
from mediagate import Source
from mediagate.images.pool import ImagePool
from tests.support.poison import Poison

@dataclass(frozen=True)
class Mine(Poison): ...

async def main():
    pool = ImagePool(processes=1, memory_bytes=2**29, timeout_s=60, moderator=globals()[sys.argv[1]]())
    await pool.open()
    rendered = await pool.render(open(sys.argv[2], "rb").read(), Source())
    print(rendered.verdict.model)
    await pool.close()

asyncio.run(main())
"""


def test_pool_in_a_script_without_main_guard_runs_it_once(tmp_path: Path) -> None:
    script, upload = tmp_path / "unguarded.py", tmp_path / "upload.png"
    script.write_text(SCRIPT)
    upload.write_bytes(HARMLESS)
    done = run_script(script, "Poison", str(upload))
    assert (done.stdout, done.returncode) == ("poison\n", 0), done.stderr


def test_moderator_defined_in_the_script_is_refused_with_advice(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    script.write_text(SCRIPT)
    told = run_script(script, "Mine", "")
    assert told.returncode
    assert "define its class in a module" in told.stderr


async def test_killed_fork_server_is_replaced_with_its_processes(data: Path) -> None:
    others = set(children(os.getpid()))
    async with opened(Poison(), processes=2, server=None) as pool:
        (server,) = set(children(os.getpid())) - others
        before = image_processes()
        os.kill(server, signal.SIGKILL)
        await asyncio.sleep(0.2)
        assert not any(alive(process) for process in before), "its processes outlived it"
        assert (await pool.probe(data / "formats" / "hopper.jpg", Source())).width == 128
        assert (await pool.render(HARMLESS, Source())).verdict.model == "poison"
        assert set(children(os.getpid())) - others not in (set(), {server})


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
async def test_second_thread_encodes_only_while_a_core_is_idle() -> None:
    large = picture(900, 700)

    async def most_threads(pool: ImagePool) -> int:
        rendering = asyncio.create_task(pool.render(large, Source()))
        processes, most = image_processes(), 0
        while not rendering.done():
            most = max(most, *map(threads, processes))
            await asyncio.sleep(0.002)
        assert rendering.result().variants
        return most

    async with opened(Poison(poison.hang), processes=2, timeout_s=120) as pool:
        idle_s = {process: cpu_s([process]) for process in image_processes()}
        busy = asyncio.create_task(pool.render(POISONED, Source()))
        await asyncio.to_thread(until_used, list(idle_s), sum(idle_s.values()) + 0.1)
        hanging = max(idle_s, key=lambda process: cpu_s([process]) - idle_s[process])
        assert await most_threads(pool) == 1
        assert not busy.done()
        os.kill(hanging, signal.SIGKILL)
        with pytest.raises(ImageCrashed):
            await busy
        await asyncio.gather(*(pool.render(HARMLESS, Source()) for _ in range(2)))
        assert await most_threads(pool) == 2
