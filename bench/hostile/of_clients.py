"""Attacks by how clients connect, send and read."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.hostile import pictures
from bench.hostile.attack import Attack, Outcome
from bench.hostile.site import MOUNT, Bystander, Site, at_once, connections, form, request, serving, site
from bench.size import Size

WAIT_S = 2.0
COMPLETIONS = 30
DISK_MB = 100.0
READERS = 1_000
READERS_MB = 100.0
HELD_S = 45
"""How long the readers hold on: longer than ``download_timeout_s``."""
HALF_LINES = 1_000
DESCRIPTORS = 1_024
REACHED_S = 20.0
GUESSES = 200
GUESSES_LIMIT = 5
BODIES = 128
STRANGER = "127.0.0.2"
"""Another address of loopback, which attackers come from where addresses count."""
SHARED = {"MEDIAGATE_ADDRESS_SHARE": "0.25"}
"""Else all of loopback is one proxy."""
KEYS_GATE = """
from mediagate import MediaGate, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.rate_limit import rate_limit

gate = MediaGate(sources={"photo": Source()}, moderation="off")
gate.register(api_keys)
gate.register(rate_limit, failures_per_address="5/hour")
"""


def _completions(size: Size) -> Outcome:
    """Send one file to the gate, and complete it thirty times at once."""
    picture = pictures.noise_png(size.of(2500), size.of(2500))
    with serving() as here, Bystander(here) as innocent:
        innocent.wait()
        told = {"sourceType": "photo", "sourceId": "x", "contentType": "image/png", "size": len(picture)}
        as_json = {"Content-Type": "application/json"}
        target = here.ask("POST", "/uploads", json.dumps(told).encode(), as_json).body
        sent = request(here.port, "PUT", target["url"], picture, target["headers"])
        assert sent.status == 204, sent
        statuses: list[int] = []

        def complete() -> None:
            statuses.append(request(here.port, "POST", target["completeUrl"], b"").status)

        with _Peak(here) as peak:
            at_once(*[complete] * size.of(COMPLETIONS))
        innocent.wait()
        again = request(here.port, "POST", target["completeUrl"], b"").status
        counted = ", ".join(f"{statuses.count(status)} x {status}" for status in sorted(set(statuses)))
        words = f"{len(picture) / 1e6:.0f} MB: {counted}, once more: {again}; {peak.grown:.0f} MB of disk; {innocent}"
        return Outcome(words, peak.grown <= DISK_MB and again == 202 and max(innocent.complete) <= 5 * WAIT_S)


class _Peak:
    """The most that a site's folder grows during the block."""

    def __init__(self, here: Site) -> None:
        self._site = here
        self._before = here.disk_mb()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.grown = 0.0

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.grown = max(self.grown, self._site.disk_mb() - self._before)


def _readers(size: Size) -> Outcome:
    """Ask a thousand times for a file of 10 MB and read nothing; then wait until all are cut off."""
    with serving() as here:
        job = here.settled(here.upload(pictures.noise_png(size.of(1830), size.of(1830))).body["jobId"])
        url = job["media"]["originalUrl"]
        before = here.memory_mb()
        line = f"GET {url} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        with Bystander(here) as innocent, connections(here.port, size.of(READERS), line) as readers:
            innocent.wait()
            during = here.memory_mb()
            held_s = size.of(HELD_S)
            end = time.monotonic() + held_s
            while time.monotonic() < end:
                during = max(during, here.memory_mb())
                time.sleep(0.1)
            still = here.memory_mb()
            ended = sum(_has_ended(reader) for reader in readers)
            opened = len(readers)
        time.sleep(size.of(3))
        words = f"{opened} readers: {before:.0f} → {during:.0f} MB, {still:.0f} MB after {held_s} s ({ended} ended), "
        words += f"{here.memory_mb():.0f} MB when they are gone; {innocent}"
        return Outcome(words, during <= READERS_MB)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other side has closed or reset a connection, however much of it is unread."""
    watch = select.poll()
    watch.register(connection, select.POLLRDHUP)
    return bool(watch.poll(0))


def _half_lines(size: Size) -> Outcome:
    with site() as here:
        here.serve(descriptors=DESCRIPTORS)
        with connections(here.port, size.of(HALF_LINES), b"GET /image-pipe") as opened, Bystander(here) as innocent:
            innocent.wait(size.of(2))
            words = f"{len(opened)} half request lines: {innocent}"
            return Outcome(words, max(*innocent.accepted, *innocent.alive) <= REACHED_S)


def _forwarded(size: Size) -> Outcome:
    with site(KEYS_GATE) as here:
        here.serve()
        tried, guesses = 0, size.of(GUESSES)
        for n in range(guesses):
            headers = {"X-Forwarded-For": f"198.51.{n // 250}.{n % 250 + 1}", "Authorization": f"Bearer mg_live_{n}"}
            tried += here.ask("GET", "/jobs", headers=headers).status == 401
        return Outcome(f"{tried} of {guesses} guesses were looked at", tried <= GUESSES_LIMIT)


def _bodies(size: Size) -> Outcome:
    """Keep as many bodies coming as there are places, a byte every half second each, from one address."""
    body, headers = form(os.urandom(1_000_000))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {MOUNT}/upload HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    told = []
    held, bodies = True, size.of(BODIES)
    begun = head.encode() + body[:2000]
    for where, host, env in (("its own address", STRANGER, SHARED), ("everybody's address", "127.0.0.1", {})):
        with (
            serving(**env) as here,
            connections(here.port, bodies, begun, host=host) as opened,
        ):
            with _dripping(opened), Bystander(here) as innocent:
                innocent.wait(size.of(5))
            told.append(f"{len(opened)} from {where}: {innocent}")
            held &= innocent.worst_s <= 2 * WAIT_S
    return Outcome("; ".join(told), held)


@contextmanager
def _dripping(opened: list[socket.socket]) -> Iterator[None]:
    """Send a byte every half second on each connection."""
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.5):
            for connection in opened:
                with suppress(OSError):
                    connection.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


ATTACKS = (
    Attack("completions", "one direct upload, 30 `complete` calls at once",
           f"at most {DISK_MB:g} MB of disk, others within {5 * WAIT_S:g} s", _completions),
    Attack("readers", "1,000 readers that do not read a file of 10 MB", f"at most {READERS_MB:g} MB", _readers),
    Attack("half-lines", "1,000 half request lines at `ulimit -n 1024`", f"reached within {REACHED_S:g} s",
           _half_lines),
    Attack("forwarded", "200 guesses, each with another X-Forwarded-For", f"at most {GUESSES_LIMIT} looked at",
           _forwarded),
    Attack("bodies", "128 slow bodies", f"202 within {2 * WAIT_S:g} s", _bodies),
)  # fmt: skip
