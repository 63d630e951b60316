"""A service with metrics in several processes that share a data folder, and scrapes of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from tests.support import loopback
from tests.support.ports import free_port
from tests.support.server import MOUNT, PYTHONPATH, children

Samples = dict[str, float]
"""Values of samples by name and label values."""


def samples(url: str) -> Samples:
    """Return the ``mediagate_*`` samples that a process exposes."""
    text = loopback.get(url, timeout=30).text
    return {
        ":".join([sample.name, *(sample.labels[label] for label in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("mediagate_")
    }


def await_sample(url: str, name: str, wanted: Callable[[float], bool], timeout_s: float = 60) -> Samples:
    """Scrape until a sample has a wanted value; returns all samples."""
    end = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(httpx.TransportError):
            found = samples(url)
            if name in found and wanted(found[name]):
                return found
            assert time.monotonic() < end, f"{name} is {found.get(name)}"
        assert time.monotonic() < end, f"nothing answers at {url}"
        time.sleep(0.1)


class Process:
    """A process of the service that listens on a port."""

    def __init__(self, *command: str, port: int, log: Path, **env: str) -> None:
        self.port = port
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command, "--port", str(port)],
                env={**os.environ, "PYTHONPATH": PYTHONPATH, **env}, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill -9 the process; its children end by themselves."""
        self.process.kill()
        self.process.wait(10)

    def end(self) -> None:
        """End the process and all its children."""
        below = children(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        for process_id in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


@contextlib.contextmanager
def processes(folder: Path, **env: str) -> Iterator[Callable[..., Process]]:
    """Start processes that share a data folder and an environment; all are ended after the block."""
    started: list[Process] = []
    (folder / "data").mkdir()
    env = {"MEDIAGATE_DATA_DIR": str(folder / "data"), "MEDIAGATE_IMAGE_PROCESSES": "1"} | env

    def start(*command: str, **more: str) -> Process:
        started.append(Process(*command, port=free_port(), log=folder / "log", **env | more))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.end()


def upload(port: int, photo: bytes, source_type: str = "avatar", **headers: str) -> httpx.Response:
    return loopback.post(
        f"http://127.0.0.1:{port}{MOUNT}/upload",
        data={"sourceType": source_type, "sourceId": "u1"}, files={"file": ("a.jpg", photo)},
        headers=headers, timeout=60,
    )  # fmt: skip


def receiving(folder: Path) -> int:
    """Return how many processes have received an upload."""
    return sum(
        any(
            value and '"mediagate_upload_bytes_sum"' in key
            for key, value, *_ in MmapedDict.read_all_values_from_file(file)
        )
        for file in folder.glob("histogram_*.db")
    )
