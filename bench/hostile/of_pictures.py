"""Attacks by what is in a picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from bench.hostile import pictures
from bench.hostile.attack import Attack, Outcome
from bench.hostile.site import Bystander, at_once, serving
from bench.size import Size

WAIT_S = 2.0
AT_ONCE = 5
SCANS = 14_000
MB = 1_000_000
TAGS = 5_000
LOG_BYTES = 20_000
"""Room for a few lines about one picture."""


def _headers(make: Callable[[int], bytes], parts: int, size: Size) -> Outcome:
    """Send five at once, and see how long somebody innocent waits for a 202 meanwhile."""
    picture = make(size.of(parts))
    with serving() as site, Bystander(site) as innocent:
        innocent.wait()
        before = len(innocent.accepted)
        codes: list[str] = []

        def send() -> None:
            answer = site.upload(picture, "moving")
            codes.append(f"{answer.status} {answer.body.get('code', '')}".strip())

        at_once(*[send] * AT_ONCE)
        innocent.wait()
        told = f"{len(picture) / MB:.0f} MB each; {innocent}; attackers: {', '.join(sorted(set(codes)))}"
        return Outcome(told, max(innocent.accepted[before:], default=float("inf")) <= WAIT_S)


def _scans(size: Size) -> Outcome:
    picture = pictures.jpeg_of_scans(8000, 6000, size.of(SCANS))
    with serving() as site, Bystander(site) as innocent:
        innocent.wait()
        began = time.monotonic()
        ends: list[str] = []

        def send() -> None:
            answer = site.upload(picture)
            status = site.settled(answer.body["jobId"]) if answer.status == 202 else answer.body
            ends.append(f"{status.get('code', status.get('status', ''))}")

        at_once(*[send] * 3)
        busy_s = time.monotonic() - began
        innocent.wait()
        told = f"{len(picture) / MB:.1f} MB; all three ended after {busy_s:.1f} s ({', '.join(ends)}); {innocent}"
        return Outcome(told, busy_s <= WAIT_S * 3 and max(innocent.complete) <= WAIT_S * 3)


def _canvas(size: Size) -> Outcome:
    picture = pictures.gif(7000, 2)
    with serving() as site, Bystander(site) as innocent:
        innocent.wait()
        began = time.monotonic()
        answer = site.upload(picture, "moving")
        status = site.settled(answer.body["jobId"]) if answer.status == 202 else answer.body
        took_s = time.monotonic() - began
        code = status.get("code", status.get("status"))
        innocent.wait()
        return Outcome(f"{len(picture)} bytes: {code} after {took_s:.1f} s; {innocent}", code == "image_too_large")


def _tags(size: Size) -> Outcome:
    picture = pictures.jpeg_of_broken_tags(size.of(TAGS))
    with serving() as site:
        before = site.log.stat().st_size
        answer = site.upload(picture)
        status = site.settled(answer.body["jobId"]) if answer.status == 202 else answer.body
        logged = site.log.stat().st_size - before
        end = status.get("code", status.get("status"))
        return Outcome(f"{len(picture) / 1000:.0f} KB ({end}): {logged:,} bytes of log", logged <= LOG_BYTES)


ATTACKS = (
    Attack("chunks", "5 PNGs of 1.5 M empty chunks", f"202 within {WAIT_S:g} s",
           partial(_headers, pictures.png_of_chunks, 1_500_000)),
    Attack("segments", "5 JPEGs of 4.5 M segments", f"202 within {WAIT_S:g} s",
           partial(_headers, pictures.jpeg_of_segments, 4_500_000)),
    Attack("fill", "5 JPEGs of 18 MB of fill bytes", f"202 within {WAIT_S:g} s",
           partial(_headers, pictures.jpeg_of_fill, 18 * MB)),
    Attack("frames", "5 GIFs of 700 k frames", f"202 within {WAIT_S:g} s",
           partial(_headers, partial(pictures.gif, 1), 700_000)),
    Attack("scans", "3 progressive JPEGs of 14,000 empty scans, 48 MP", f"ended within {WAIT_S * 3:g} s, others too",
           _scans),
    Attack("canvas", 'GIF of 2 frames on 7000 x 7000, animation="keep"', "`image_too_large`", _canvas),
    Attack("tags", "JPEG with 5,000 broken EXIF tags", f"at most {LOG_BYTES:,} bytes of log", _tags),
)  # fmt: skip
