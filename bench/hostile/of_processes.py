"""Attacks that stop a process of the service in the middle of its work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.hostile import pictures
from bench.hostile.attack import Attack, Outcome
from bench.hostile.site import Bystander, Site, serving, site
from bench.size import Size
from tests.support.live_files import live_files

REPLACED_S = 10.0
SLACK_S = 5.0
"""For the picture itself."""
LEASE_S = 3
GONE_S = 10
PROGRAM = b"mediagate.images.process"
MANY_GATE = """
from mediagate import MediaGate, Source, VariantSpec

gate = MediaGate(
    sources={"photo": Source(variants={f"v{n}": VariantSpec(width=n, format="png") for n in range(400, 460)})},
    moderation="off",
)
"""
"""So many files that a worker can be stopped between two of them."""


def _stopped_fork_server(size: Size) -> Outcome:
    """Stop the fork server, kill the image processes that it made, and see when an upload is through."""
    with serving() as here:
        server, *_ = _children(here.processes[0].pid)
        workers = _children(server)
        with _stopped(server):
            for pid in workers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            with Bystander(here) as innocent:
                innocent.wait()
                took_s = time.monotonic() - began
            return Outcome(f"{innocent}", took_s <= REPLACED_S + SLACK_S)


def _stopped_worker(size: Size) -> Outcome:
    """Stop a worker between two files; another does its job, the picture is deleted, and then the first goes on."""
    env = {"MEDIAGATE_LEASE_S": str(LEASE_S), "MEDIAGATE_JANITOR_INTERVAL_S": "1", "MEDIAGATE_IMAGE_PROCESSES": "1"}
    with site(MANY_GATE, **env) as here:
        here.serve("--no-worker")
        first = here.start("worker")
        job_id = here.upload(pictures.noise_png(500, 500)).body["jobId"]
        if not _until(lambda: bool(_published(here)), 60):
            raise RuntimeError("the worker published nothing")
        with _stopped(first.pid):
            seen = len(_published(here))
            here.start("worker")
            status = here.settled(job_id, timeout_s=120)
            if status.get("status") != "COMPLETE":
                raise RuntimeError(f"the other worker did not complete the job: {status}")
            deleted = here.ask("DELETE", f"/media/{status['media']['id']}").status
            left = len(_published(here))
        began, most, gone_s = time.monotonic(), 0, size.of(GONE_S)
        while time.monotonic() - began < 3 * gone_s:
            most = max(most, len(_published(here)))
            time.sleep(0.02)
            if most and not _published(here) and time.monotonic() - began > gone_s:
                break
        public = len(_published(here))
        words = f"stopped after {seen} files, deleted ({deleted}, {left} left), then up to {most} files, "
        return Outcome(f"{words}and {public} in the end", public == 0)


def _published(here: Site) -> list[Path]:
    files = here.data / "files"
    return [path for kind in ("media", "originals") for path in live_files(files / kind)]


def _until(what: object, timeout_s: float) -> bool:
    assert callable(what)
    end = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    """Return the processes of the image program that one process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            if parent == pid and PROGRAM in stat.with_name("cmdline").read_bytes():
                found.append(int(stat.parent.name))
    return found


ATTACKS = (
    Attack("fork-server", "SIGSTOP of the fork server, SIGKILL of its image processes",
           f"COMPLETE within {REPLACED_S + SLACK_S:g} s", _stopped_fork_server),
    Attack("zombie", "a worker stopped while it publishes, its picture deleted meanwhile",
           f"no file within {3 * GONE_S:g} s", _stopped_worker),
)  # fmt: skip
