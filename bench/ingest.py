"""Receiving uploads: multipart bodies of 3 MB from loopback to disk, beside Fastify; and the whole ``POST /upload``.

    python -m bench ingest

The client writes a prepared request to raw sockets, from threads that mostly wait in ``sendall``. Each server is one
process, and its CPU time is printed beside its rate: on a busy machine that is the steadier figure. uvicorn takes
uvloop and httptools if they are installed.
"""

from __future__ import annotations

import io
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.service import serving
from bench.size import Size
from bench.table import Row, alternate
from bench.workshop import workshop
from mediagate import Source
from mediagate.images import pixels as images
from mediagate.intake.body import Patience
from mediagate.intake.multipart import receive_upload

MB = 1_000_000
SIZE = 3 * MB
CONNECTIONS = 8
SECONDS = 3
FIELDS = {"sourceType": "photo", "sourceId": "bench"}
GATE = """
from mediagate import MediaGate, Settings, Source

gate = MediaGate(sources={"photo": Source()}, settings=Settings(worker=False), moderation="off")
"""
PHOTO_EDGES = ((1000, 1000), (4000, 3000), (6000, 4000), (8000, 6000))
"""Pictures whose decoding is measured, in pixels."""


@dataclass
class Server:
    """A running server, and the CPU milliseconds per upload of each measurement."""

    pid: int
    port: int
    path: str
    file: bytes
    cpu_ms: list[float] = field(default_factory=list)

    def rate(self, seconds: float, connections: int = CONNECTIONS) -> float:
        """Return how many megabytes of file per second it takes from so many connections."""
        request = _request(self.path, self.file)
        stop = threading.Event()
        counts: list[int] = []

        def send() -> None:
            done = 0
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as curl and browsers do
                while not stop.is_set():
                    connection.sendall(request)
                    _read_answer(connection)
                    done += 1
            counts.append(done)

        threads = [threading.Thread(target=send) for _ in range(connections)]
        cpu_s, started = _cpu_s(self.pid), time.perf_counter()
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        took, cpu_s = time.perf_counter() - started, _cpu_s(self.pid) - cpu_s
        assert len(counts) == connections, "a connection broke off"
        self.cpu_ms.append(cpu_s * 1000 / sum(counts))
        return sum(counts) * len(self.file) / MB / took

    def warm_up(self) -> None:
        """Let code be loaded and compiled before it counts."""
        self.rate(1)
        self.cpu_ms.clear()


def _request(path: str, file: bytes) -> bytes:
    boundary = "----bench6e4b1a"
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in FIELDS.items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n\r\n'
    body = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: multipart/form-data; boundary={boundary}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _read_answer(connection: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in (b"200", b"202"), answer.decode()
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += _more(connection)


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    assert received, "the server hung up"
    return received


def _cpu_s(pid: int) -> float:
    """CPU time of a process and its threads, without its children."""
    of_process = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(of_process[11]) + int(of_process[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _listening(command: list[str], env: Mapping[str, str], file: bytes) -> Iterator[Server]:
    """Run a server that prints its port, for the length of a block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env)
    assert process.stdout is not None
    try:
        server = Server(process.pid, int(process.stdout.readline()), "/upload", file)
        server.warm_up()
        yield server
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def beside_fastify(folder: Path, size: Size) -> Row:
    """Compare an app that does nothing but receive uploads with the same of Fastify."""
    file = random.Random(1).randbytes(SIZE)
    loop = "uvloop" if find_spec("uvloop") else "asyncio's loop"
    shop = workshop()
    for name in ("ours", "theirs"):
        (folder / name).mkdir()
    ours = [sys.executable, "-m", "bench.ingest", str(folder / "ours")]
    theirs = [str(shop.node), str(Path(__file__).parent / "peers" / "ingest.mjs"), str(folder / "theirs")]
    with _listening(ours, os.environ, file) as app, _listening(theirs, shop.environment, file) as fastify:
        seconds = size.of(SECONDS)
        rates = alternate(size.runs, {"ours": partial(app.rate, seconds), "theirs": partial(fastify.rate, seconds)})
        print(
            f"CPU of the server per upload of 3 MB, received only: ours {median(app.cpu_ms):.2f} ms, "
            f"Fastify {median(fastify.cpu_ms):.2f} ms"
        )
    return Row(
        f"upload ingest, 3 MB multipart from a loopback client, spooled to disk, per process on {loop}",
        "MB/s",
        rates["ours"],
        1.0,
        "higher",
        rates["theirs"],
        "Fastify, @fastify/multipart",
    )


def whole_upload(folder: Path, size: Size) -> None:
    """Print what the whole ``POST /upload`` of a gate takes: received, probed, kept and on record."""
    with serving(folder, GATE) as service:
        gate = Server(service.process.pid, service.port, "/image-pipeline/upload", photo_of(SIZE))
        gate.warm_up()
        seconds = size.of(SECONDS)
        rates = [gate.rate(seconds) for _ in range(size.runs)]
        alone = [gate.rate(seconds, connections=1) for _ in range(size.runs)]
    print(
        f"POST /upload of 3 MB with SQLite and files: {median(rates):.0f} MB/s over {CONNECTIONS} connections, "
        f"{1000 * SIZE / MB / median(alone):.0f} ms each over one; {median(gate.cpu_ms):.1f} ms CPU of its process"
    )


def decoding(size: Size) -> None:
    """Print what ``decode_before_202`` adds to an upload: all of a picture is decoded, and not its header alone."""
    images.limit_threads()
    images.lift_pixel_limit()
    print("\n| megapixels | format | MB | CPU of its header | CPU of all of it |\n| --- | --- | --- | --- | --- |")
    for (width, height), name in product(PHOTO_EDGES[: size.of(4)], ("JPEG", "PNG", "WEBP", "AVIF")):
        file = _picture(width, height, name)
        with TemporaryFile() as opened:
            opened.write(file)
            header, whole = (
                median(_probe_ms(opened, pixels=pixels) for _ in range(size.runs)) for pixels in (False, True)
            )
        print(f"| {width * height / 1e6:.0f} | {name} | {len(file) / MB:.1f} | {header:.1f} ms | {whole:.0f} ms |")


def _probe_ms(file: IO[bytes], *, pixels: bool) -> float:
    file.seek(0)
    started = time.process_time()
    images.probe(file, Source(), pixels=pixels)
    return 1000 * (time.process_time() - started)


def _picture(width: int, height: int, image_format: str) -> bytes:
    """Return a picture of coarse noise, in a PNG in squares, so that it stays below 20 MB."""
    file = io.BytesIO()
    noise = Image.merge("RGB", [Image.effect_noise((width // 8, height // 8), 60) for _ in "RGB"])
    kernel = Image.Resampling.NEAREST if image_format == "PNG" else Image.Resampling.BICUBIC
    noise.resize((width, height), kernel).save(file, image_format, quality=90)
    return file.getvalue()


def photo_of(size: int) -> bytes:
    """Return a JPEG of just this size in bytes, mostly in a comment."""
    file = io.BytesIO()
    Image.effect_noise((1600, 1200), 60).convert("RGB").save(file, "JPEG", quality=95)
    return file.getvalue().ljust(size, b"\0")


def rows(size: Size) -> list[Row]:
    """Measure all."""
    with TemporaryDirectory(prefix="mediagate-bench-") as folder:
        compared = beside_fastify(Path(folder), size)
        whole_upload(Path(folder), size)
    decoding(size)
    return [compared]


def receiving_app(spool_dir: Path) -> Starlette:
    """Return an app that receives uploads and forgets them."""

    async def upload(request: Request) -> Response:
        async with receive_upload(request, spool_dir, limits={"photo": 32 * MB}, patience=Patience(30)) as received:
            return JSONResponse({"bytes": received.bytes, "fields": dict(received.fields)})

    return Starlette(routes=[Route("/upload", upload, methods=["POST"])])


if __name__ == "__main__":
    # With its protocol named, as in the sockets that uvicorn makes; else asyncio leaves Nagle's algorithm on.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(receiving_app(Path(sys.argv[1])), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])
