"""The whole service in a process of its own: its throughput beside the image engine's, its waiting times, its start.

    python -m bench service

``mediagate serve`` with SQLite, files and the model open_nsfw, and a source that rejects nothing. The client sends over
HTTP, with six uploads in flight, and counts a photo when its job is COMPLETE. Neither side keeps originals.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from bench import photos
from bench.contestant import BEST, DOCUMENTED, Contestant
from bench.size import Size
from bench.table import Row, alternate
from mediagate import MODERATOR, MediaGate, Moderator, Source
from mediagate.images import ImagePool
from mediagate_plugins.open_nsfw import open_nsfw

MOUNT = "/image-pipeline"
GATE = """
from mediagate import MediaGate, Source
from mediagate_plugins.open_nsfw import open_nsfw

gate = MediaGate(sources={"photo": Source(reject={"explicit": 1.0}, original="delete")})
gate.register(open_nsfw)
"""
ALONE = "variants + BlurHash alone"
IN_FLIGHT = 6
CORES = len(os.sched_getaffinity(0))
POLL_EVERY_S = 0.02
MIB = 1024 * 1024


class Service:
    """A running service: where it listens, and how long it took from the start of its process to its first answer."""

    def __init__(self, port: int, start_s: float, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.start_s = start_s
        self.process = process

    def upload(self, photo: bytes) -> str:
        """Send a photo and return the id of its job."""
        boundary = b"6e4b1a"
        fields = {b"sourceType": b"photo", b"sourceId": b"bench"}
        head = b"".join(
            b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name, value)
            for name, value in fields.items()
        )
        file = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="photo"\r\n\r\n' % boundary
        body = b"".join((head, file, photo, b"\r\n--%b--\r\n" % boundary))
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
        return str(self._ask("POST", "/upload", body, headers)["jobId"])

    def wait(self, job_id: str) -> None:
        """Wait until a job is complete; raises ``AssertionError`` when it ends otherwise."""
        while True:
            status = self._ask("GET", f"/status/{job_id}?wait=60&http=200")
            if status["status"] == "COMPLETE":
                return
            assert status["status"] in ("PENDING", "PROCESSING"), status

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, MOUNT + path, body, headers or {})
            answer: dict[str, str] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer


@contextmanager
def serving(data_dir: Path, gate: str | None = None) -> Iterator[Service]:
    """Run ``mediagate serve`` for the length of a block; without a gate, its own one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(Path(sys.executable).with_name("mediagate")), "serve", "--port", str(port)]
    if gate is not None:
        (data_dir / "bench_gate.py").write_text(gate)
        command.append("bench_gate:gate")
    env = {**os.environ, "MEDIAGATE_DATA_DIR": str(data_dir / "data")}
    started = time.perf_counter()
    with (data_dir / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=data_dir, env=env, stdout=log, stderr=log)
    try:
        while not _ready(port):
            if process.poll() is not None:
                raise RuntimeError((data_dir / "log").read_text())
            time.sleep(0.005)
        yield Service(port, time.perf_counter() - started, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", f"{MOUNT}/readyz")
        return connection.getresponse().status == 200
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()


def service_rate(service: Service, pictures: Sequence[bytes]) -> float:
    """Return how many photos per second go from HTTP in to COMPLETE out."""

    def through(photo: bytes) -> None:
        service.wait(service.upload(photo))

    started = time.perf_counter()
    with ThreadPoolExecutor(IN_FLIGHT) as clients:
        list(clients.map(through, pictures))
    return len(pictures) / (time.perf_counter() - started)


NEVER = Source(reject={"explicit": 1.0}, original="delete")
"""The source of the service: nothing is certain enough to be rejected."""


def moderator() -> Moderator:
    """Return the moderator of the service."""

    async def assembled() -> Moderator:
        gate = MediaGate(sources={"photo": NEVER})
        gate.register(open_nsfw)
        async with gate.assembled():
            return gate[MODERATOR]

    return asyncio.run(assembled())


def engine_rate(pictures: Sequence[bytes], moderator: Moderator | None) -> float:
    """Return how many photos per second the image processes alone render."""

    async def run() -> float:
        pool = ImagePool(processes=CORES, memory_bytes=512 * MIB, timeout_s=60, moderator=moderator)
        await pool.open()
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def through(photo: bytes) -> None:
            async with slots:
                await pool.render(photo, NEVER)

        try:
            await through(pictures[0])
            started = time.perf_counter()
            await asyncio.gather(*map(through, pictures))
            return len(pictures) / (time.perf_counter() - started)
        finally:
            await pool.close()

    return asyncio.run(run())


def poll(port: int, finished: Sequence[str], in_flight: Sequence[str]) -> list[float]:
    """Ask for statuses, 50 times a second and in turn, until no job is in flight; return milliseconds per answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    waits: list[float] = []
    live = list(in_flight)
    due = time.perf_counter()
    while live:
        for job_id in [*live, *finished]:
            due += POLL_EVERY_S
            time.sleep(max(0.0, due - time.perf_counter()))
            asked = time.perf_counter()
            connection.request("GET", f"{MOUNT}/status/{job_id}?http=200")
            status = json.loads(connection.getresponse().read())["status"]
            waits.append((time.perf_counter() - asked) * 1000)
            if status == "COMPLETE" and job_id in live:
                live.remove(job_id)
    connection.close()
    return waits


def status_p99(service: Service, uploads: Sequence[bytes], finished: Sequence[str]) -> float:
    """Return the 99th percentile of the milliseconds that a status takes while uploads are processed."""
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        other.submit(time.time).result()
        with ThreadPoolExecutor(IN_FLIGHT) as clients:
            uploaded = list(clients.map(service.upload, uploads))
        return quantiles(other.submit(poll, service.port, finished, uploaded).result(), n=100)[98]


def sharp_rate(sharp: Contestant, files: Sequence[Path]) -> float:
    """Return how many photos per second sharp gives its variants and BlurHash."""
    return len(files) / sharp.ask(files, parallel=IN_FLIGHT).wall_ms * 1000


def in_turn(what: Callable[[], float], runs: int) -> list[float]:
    return [what() for _ in range(runs)]


def rows(size: Size) -> list[Row]:
    """Measure all."""
    files = photos.mixed(size.photos)
    pictures = [path.read_bytes() for path in files]
    judging = moderator()
    large = [photos.of_kind("12mp-upright", 1)[0].read_bytes()] * size.of(16)
    with TemporaryDirectory(prefix="mediagate-bench-") as folder:
        data_dir = Path(folder)
        with (
            serving(data_dir, GATE) as service,
            Contestant.node("sharp_documented") as documented,
            Contestant.node("sharp_best") as best,
        ):
            finished = [service.upload(picture) for picture in pictures[:4]]
            for job_id in finished:
                service.wait(job_id)
            rates = alternate(
                size.runs,
                {
                    "service": lambda: service_rate(service, pictures),
                    "judging engine": lambda: engine_rate(pictures, judging),
                    "engine": lambda: engine_rate(pictures, None),
                    "documented": lambda: sharp_rate(documented, files),
                    "best": lambda: sharp_rate(best, files),
                },
            )
            waits = in_turn(lambda: status_p99(service, large, finished), size.runs)

        def start() -> float:
            with serving(data_dir) as service:
                return service.start_s

        starts = in_turn(start, size.runs + 1)[1:]  # the first has no database yet
    whole = f"{len(files)} mixed photos through the whole service: HTTP in, COMPLETE out, SQLite, files, model on"
    alone = "image engine alone, with the same runs of the model"
    return [
        Row(whole, "images/s", rates["service"], 0.92, "higher", rates["judging engine"], alone),
        Row(whole, "images/s", rates["service"], None, "higher", rates["engine"], "image engine alone, no model"),
        Row(whole, "images/s", rates["service"], None, "higher", rates["documented"], f"{DOCUMENTED}, {ALONE}"),
        Row(whole, "images/s", rates["service"], 1.08, "higher", rates["best"], f"{BEST}, {ALONE}"),
        Row(f"p99 of GET /status while {len(large)} uploads of 12 MP are processed", "ms", waits, 50, "lower"),
        Row("cold start to first answer, installed", "s", starts, 1.5, "lower"),
    ]
