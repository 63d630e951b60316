"""Hostile code in an image process: it reaches nothing by its system calls, nor by its answers."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from mediagate import Moderator, Source
from mediagate.errors import ImageCrashed, ModerationFailed
from mediagate.images import ImagePool, forkserver
from mediagate.images.forkserver import environment
from mediagate.images.sandbox import landlock
from tests.support import hostile
from tests.support.hostile import Hostile, Library, Reader, Targets
from tests.support.lies import SIZED, Liar, bomb, honest, lies
from tests.support.load import stretched
from tests.support.moderators import Circular
from tests.support.programs import program

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECRET = "a-secret-of-the-host-3f1c"
LINES = "a line of the host\n" * 5
confined = pytest.mark.skipif(
    sys.platform != "linux" or not landlock.version(ctypes.CDLL(None, use_errno=True)),
    reason="this kernel has no Landlock",
)


@asynccontextmanager
async def opened(
    moderator: Moderator | None = None, *, private: tuple[Path, ...] = (), processes: int = 1
) -> AsyncIterator[ImagePool]:
    pool = ImagePool(processes=processes, memory_bytes=512 << 20, timeout_s=20, moderator=moderator, private=private)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


def picture(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 64), "teal").save(file, "PNG")
    return file.getvalue()


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in tasks(pid):
        with contextlib.suppress(OSError):  # a thread that has just ended
            found += map(int, (task / "children").read_text().split())
    return found


def tasks(pid: int) -> list[Path]:
    return [*Path(f"/proc/{pid}/task").iterdir()]


def image_processes() -> list[int]:
    return [process for server in children(os.getpid()) for process in children(server)]


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_failed_pictures_are_not_held() -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 1500), "teal").save(file, "PNG")
    others = set(image_processes())
    async with opened(Circular()) as pool:
        processes = set(image_processes()) - others
        before = sum(map(resident, processes))
        for _ in range(5):
            with pytest.raises(ModerationFailed):
                await pool.render(file.getvalue(), Source())
        # Freed memory is returned to the system when the process is idle.
        end = time.monotonic() + stretched(20)
        while sum(map(resident, processes)) > before + 2 * 4 * 2000 * 1500:
            assert time.monotonic() < end, "failed pictures are held"
            await asyncio.sleep(0.1)


@pytest.fixture
def targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Targets]:
    """Provide a data folder on Python's path, two servers, a secret in the environment, and a sibling process."""
    folder = tmp_path / "program" / "data"
    public = folder / "files"
    public.mkdir(parents=True)
    (folder / "url_secret").write_text(SECRET)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    path = f"/tmp/hostile{os.getpid()}.sock"
    with (
        socket.create_server(("127.0.0.1", 0), backlog=100) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"]) as sibling,
    ):
        unix.bind(path)
        unix.listen(100)
        yield Targets(
            host=os.getpid(),
            sibling=sibling.pid,
            secret_file=str(folder / "url_secret"),
            public_folder=str(public),
            tcp_port=tcp.getsockname()[1],
            unix_socket=path,
            environment_secret=SECRET,
        )
        sibling.kill()
    Path(path).unlink()


@contextmanager
def host_log(folder: Path) -> Iterator[Path]:
    """Append standard error of this process and of its children to a file that has lines already."""
    path = folder / "log"
    path.write_text(LINES)
    before = os.dup(2)
    with path.open("a") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield path
    finally:
        os.dup2(before, 2)
        os.close(before)


def data_of(targets: Targets) -> tuple[Path]:
    return (Path(targets.secret_file).parent,)


def held(targets: Targets) -> dict[str, str | None]:
    """Return the files of the data folder with their content, and its folders with ``None``."""
    (data,) = data_of(targets)
    return {str(path.relative_to(data)): path.read_text() if path.is_file() else None for path in data.rglob("*")}


def test_hostile_code_without_sandbox_reaches_its_targets(targets: Targets, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("not root: some of the ways out are open to root alone")
    with host_log(tmp_path) as log:
        told = subprocess.run(
            [sys.executable, hostile.__file__, json.dumps(asdict(targets))],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        flags = fcntl.fcntl(2, fcntl.F_GETFL)
    tried = set(hostile.ways_out(targets))
    # These need harmful arguments, or are disabled on many machines.
    unlikely = {"BPF", "io_uring", "the keyring"}
    assert tried - set(json.loads(told.stdout)) <= unlikely
    assert not log.read_text().startswith(LINES)
    assert flags & (os.O_APPEND | os.O_NONBLOCK) == os.O_NONBLOCK, "the flags are shared with this process"


@confined
async def test_hostile_moderator_reaches_nothing(targets: Targets, tmp_path: Path) -> None:
    with host_log(tmp_path) as log:
        async with opened(Hostile(targets), private=data_of(targets)) as pool:
            rendered = await pool.render(picture(128), Source())
            assert json.loads(rendered.verdict.reason) == []
            assert pool.walls is not None
            assert not pool.walls.missing
            confined_tasks = [task for process in image_processes() for task in tasks(process)]
            assert len(confined_tasks) > 2, "the moderator's own thread is missing"
            for task in confined_tasks:
                status = (task / "status").read_text()
                assert "NoNewPrivs:\t1\n" in status
                assert "Seccomp:\t2\n" in status
                assert "CapEff:\t000000000000000" in status
        flags = fcntl.fcntl(2, fcntl.F_GETFL)
    assert log.read_text().startswith(LINES)
    assert flags & (os.O_APPEND | os.O_NONBLOCK) == os.O_APPEND
    assert log.stat().st_blocks * 512 < 1 << 20, "disk space was allocated"
    assert held(targets) == {"files": None, "url_secret": SECRET}


READING = {
    "a private file",
    "a private file, by another call",
    "a private file, through /proc",
    "the system's users",
    "environment of the host",
    "environment of a sibling",
    "memory of the host",
    "memory of a sibling",
    "descriptors of the host",
    "connections of the host",
    "Unix sockets of the host",
    "what the host has mounted",
}


@pytest.mark.parametrize(
    ("lacking", "told"),
    [
        ("landlock as it; it.restrict = lambda *a: 0", "Landlock, which this kernel lacks"),
        ("seccomp as it; it.restrict = lambda *a, **k: 'not here'", "seccomp (not here)"),
    ],
    ids=["Landlock", "seccomp"],
)
async def test_sandbox_reports_a_missing_kernel_feature_and_keeps_the_rest(
    lacking: str,
    told: str,
    targets: Targets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    head, _, tail = forkserver.PROGRAM.rpartition("main(")
    monkeypatch.setattr(forkserver, "PROGRAM", f"{head}import mediagate.images.sandbox.{lacking}; main({tail}")
    with host_log(tmp_path):
        async with opened(Hostile(targets), private=data_of(targets)) as pool:
            reached = set(json.loads((await pool.render(picture(128), Source())).verdict.reason))
            assert pool.walls is not None
            assert told in pool.walls.missing
            assert told in caplog.text
    if "landlock" in lacking:
        assert reached <= READING, "a file was written, or a connection made"
        assert held(targets) == {"files": None, "url_secret": SECRET}
    else:
        assert not reached & (READING | {"a public file", "a folder among the public files", "TCP"})
    assert "environment of its own" not in reached


CONSTRUCTOR = """
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
static int found;
__attribute__((constructor)) static void begin(void) {
    if (open("%(secret)s", O_RDONLY) >= 0) found |= 1;
    if (open("%(public)s/page.html", O_WRONLY | O_CREAT, 0644) >= 0) found |= 2;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0) found |= 4;
    if (kill(%(host)d, 0) == 0) found |= 8;
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) found |= 16;
    char *arguments[] = {"true", 0};
    execv("/bin/true", arguments);
}
int reached(void) { return found; }
"""


@pytest.fixture
def library(targets: Targets, tmp_path: Path) -> str:
    """Compile a library whose constructor succeeds in all of its attacks outside the sandbox."""
    gcc = program("gcc", "gcc")
    source, compiled = tmp_path / "hostile.c", tmp_path / "libhostile.so"
    source.write_text(
        CONSTRUCTOR % {"secret": targets.secret_file, "public": targets.public_folder, "host": targets.host}
    )
    subprocess.run([gcc, "-shared", "-fPIC", "-o", compiled, source], check=True)
    load = f"import ctypes; print(ctypes.CDLL({str(compiled)!r}).reached())"
    outside = subprocess.run([sys.executable, "-c", load], capture_output=True, text=True, check=True)
    assert outside.stdout == "", "outside, the constructor replaces the program, which prints nothing"
    page = Path(targets.public_folder, "page.html")
    assert page.exists()
    page.unlink()
    return str(compiled)


@confined
async def test_hostile_library_constructor_reaches_nothing(targets: Targets, library: str) -> None:
    async with opened(Library(library), private=data_of(targets)) as pool:
        assert (await pool.render(picture(128), Source())).verdict.reason == "0"
    assert held(targets) == {"files": None, "url_secret": SECRET}


async def test_answer_is_never_unpickled(tmp_path: Path) -> None:
    blown = tmp_path / "blown"
    async with opened(Liar({128: (bomb(blown),)})) as pool:
        with pytest.raises(ImageCrashed, match="malformed answer"):
            await pool.render(picture(128), Source())
        assert (await pool.render(picture(100), Source())).verdict.model == "liar", "no other process took over"
    assert not blown.exists()


async def test_malformed_answer_ends_its_process(caplog: pytest.LogCaptureFixture) -> None:
    told = dict(lies())
    async with opened(Liar(dict(enumerate(told.values(), 128)))) as pool:
        for width, lie in enumerate(told, 128):
            caplog.clear()
            assert (await pool.render(picture(100), Source())).variants, "no other process took over"
            before = image_processes()
            with pytest.raises(ImageCrashed):
                await pool.render(picture(width), Source())
            assert "compromised" in caplog.text, lie
            assert set(before) - set(image_processes()), f"{lie}: its process survived"


async def test_answer_with_a_false_length_is_refused() -> None:
    lengths = {128: b"\x7f\xff\xff\xff", 129: b"\xff\xff\xff\xff\x7f" + b"\xff" * 7, 130: b"\0\0\0\0"}
    async with opened(Liar({width: (length,) for width, length in lengths.items()}, raw=True)) as pool:
        for width in lengths:
            with pytest.raises(ImageCrashed):
                await pool.render(picture(width), Source())
        assert (await pool.render(picture(100), Source())).variants


async def test_answer_ahead_of_its_request_ends_its_process() -> None:
    ahead = json.dumps({"answer": {**honest(), "info": {**SIZED, "width": 128}}}).encode()
    async with opened(Liar({128: (ahead, ahead)})) as pool:
        assert (await pool.render(picture(128), Source())).verdict.decision == "reject"
        await asyncio.sleep(0.3)
        with pytest.raises(ImageCrashed):
            await pool.render(picture(100), Source())
        assert (await pool.render(picture(100), Source())).variants


def test_image_process_environment_is_an_allow_list() -> None:
    kept = {"PATH": "/bin", "LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1", "CUDA_VISIBLE_DEVICES": "0"}
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    secrets = (
        "HOME",
        "MEDIAGATE_DATABASE_URL",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
        "PATH_TO",
        "MY_TZ",
    )
    host = {**kept, "OMP_NUM_THREADS": "2", **dict.fromkeys(secrets, "secret")}
    assert environment(host) == {**kept, **threads, "ORT_DISABLE_TELEMETRY": "1"}


@confined
async def test_sandbox_allows_reading_only_modules_in_a_program_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("package", "space/inner", "conf", ".git"):
        (tmp_path / folder).mkdir(parents=True)
    importable = ["module.py", "package/__init__.py", "package/words.txt", "space/inner/__init__.py"]
    for name in (*importable, ".env", "notes.txt", "space/key.pem", "conf/app.yaml", ".git/config"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    async with opened(Reader(str(tmp_path))) as pool:
        rendered = await pool.render(picture(128), Source())
    assert json.loads(rendered.verdict.reason) == importable
