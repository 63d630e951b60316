"""What code that has taken over an image process might tell its host.

Image processes import this module, so pytest has its folder on the path.
"""

from __future__ import annotations

import json
import os
import pickle
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mediagate.moderation import Picture
from mediagate.values import Verdict


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path(self.path), "unpickled")


def pipe() -> Connection[Any, Any]:
    """Return this image process's pipe."""
    found = [number for number in range(3, 100) if _is_socket(number)]
    assert len(found) == 1
    return Connection(found[0])


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


VERDICT: Mapping[str, Any] = {
    "decision": "reject",
    "flags": [],
    "scores": {},
    "confidence": 0,
    "model": "",
    "model_hash": "",
    "reason": "",
    "complete": True,
    "models": {},
    "group_scores": {},
}
SIZED: Mapping[str, Any] = {"format": "png", "width": 128, "height": 64, "frames": 1}


def honest(**changed: Any) -> dict[str, Any]:
    """Return an answer that says no to a picture, but for what is changed in it or in its verdict."""
    return {
        "verdict": {name: changed.get(name, value) for name, value in VERDICT.items()},
        "info": changed.get("info", SIZED),
        "variants": changed.get("variants", []),
        "original": changed.get("original"),
        "blurhash": changed.get("blurhash", ""),
        "thumbhash": changed.get("thumbhash"),
        "dominant_color": changed.get("dominant_color", ""),
        "aspect_ratio": changed.get("aspect_ratio", ""),
        "has_alpha": changed.get("has_alpha", False),
        "removed": changed.get("removed", []),
        "warnings": [],
        "timings_ms": changed.get("timings_ms", {}),
        "model_runs": changed.get("model_runs", 0),
        "previews": changed.get("previews", []),
    }


@dataclass(frozen=True)
class Liar:
    """Sends other messages in place of its process's answer for pictures of some widths, and then hangs."""

    messages: Mapping[int, tuple[bytes, ...]]
    raw: bool = False
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        if picture.width in self.messages:
            end = pipe()
            for message in self.messages[picture.width]:
                os.write(end.fileno(), message) if self.raw else end.send_bytes(message)
            while True:
                pass
        return Verdict(model="liar")


def bomb(path: Path) -> bytes:
    """Return a pickle that writes a file where it is read."""
    return pickle.dumps((True, Bomb(str(path))))


def lies() -> Iterator[tuple[str, tuple[bytes, ...]]]:
    """Yield answers that are none, by what is wrong with each."""
    yield "no JSON", (b"\xff\xfe",)
    yield "too deep", (b"[" * 100_000,)
    yield "neither an answer nor an error", (b"{}",)
    yield "both", (b'{"answer": {}, "error": {}}',)
    yield "a list", (b"[]",)
    yield "a number of 5000 digits", (b'{"answer": ' + b"9" * 5000 + b"}",)
    yield "a longer head than any", (b" " * (5 << 20),)
    for code in ("unauthorized", "records_unavailable", "__class__"):
        yield f"the error {code}", _error(code, "")
    yield "an error of a number", _error("config_error", 3)
    yield "an endless error", _error("image_too_large", "x" * 5000)
    yield "a stage that does not exist", (_stage("publish"), *_answer(honest()))
    yield "a stage twice", (_stage("decode"), _stage("decode"), *_answer(honest()))
    yield "stages out of order", (_stage("judge"), _stage("decode"), *_answer(honest()))
    yield "unknown field", _answer(honest() | {"more": 1})
    yield "missing field", _answer({"verdict": {}})
    for name, values in WRONG.items():
        for number, value in enumerate(values):
            yield f"{name} {number}", _answer(honest(**{name: value}))
    for name, values in WRONG_INFO.items():
        for value in values:
            yield f"info.{name} {value}", _answer(honest(info={**SIZED, name: value}))
    png = b"\x89PNG\r\n\x1a\n" + b"x" * 20
    file = {"name": "original", "format": "png", "width": 128, "height": 64, "data": len(png)}
    yield "files that may not be published", (*_answer(honest(original=file)), png)
    for name, value in WRONG_FILE.items():
        yield f"original.{name}", (*_answer(honest(decision="allow", original={**file, name: value})), png)
    for size in (5, 29, 0, -1, 10**12):
        yield f"original of {size} bytes", (*_answer(honest(decision="allow", original={**file, "data": size})), png)
    yield "previews of a refused picture", (*_answer(honest(previews=[20])), png)
    yield "a page for a picture", (*_answer(honest(decision="allow", original=file)), b"<html>".ljust(len(png)))
    yield "no variants", (*_answer(honest(decision="allow", original=file)), png)
    webp = b"RIFF....WEBP" + b"x" * 16
    for lie, changed in WRONG_VARIANTS.items():
        files = [{"width": 64, "height": 32, "format": "webp", "data": len(webp)} | one for one in changed]
        answer = honest(decision="allow", original=file, variants=files)
        yield f"variants: {lie}", (*_answer(answer), *[webp] * len(files), png)


WRONG: Mapping[str, tuple[Any, ...]] = {
    "decision": ("publish", None),
    "confidence": (float("nan"), 1.5, True, "1"),
    "scores": ({"a": -0.1}, {"a": "1"}, [], {"a" * 1000: 0}),
    "flags": ("abc", [1]),
    "reason": (None, "x" * 10_000),
    "model": (1,),
    "timings_ms": ({"decode": float("inf")}, []),
    "has_alpha": (1,),
    "complete": (1,),
    "model_runs": (-1, 1.5),
    "removed": (["<script>"],),
    "blurhash": ("\n",),
    "thumbhash": ("<b>", "", 5),
    "dominant_color": ("red",),
    "aspect_ratio": ("3/2",),
}
WRONG_INFO: Mapping[str, tuple[Any, ...]] = {
    "format": ("html",),
    "width": (0, 10**9),
    "height": (1.5,),
    "frames": (1000, "1"),
}
SIZES = ("xs", "sm", "md", "lg", "xl")
WRONG_VARIANTS: Mapping[str, list[dict[str, Any]]] = {
    "another one": [{"name": name} for name in (*SIZES, "xxl")],
    "another order": [{"name": name} for name in reversed(SIZES)],
    "one twice": [{"name": name} for name in ("xs", *SIZES)],
    "one of two formats": [{"name": name} for name in ("xs", "xs.webp", *SIZES[1:])],
    "one named by its format": [{"name": name} for name in ("xs.webp", *SIZES[1:])],
    "a path": [{"name": name} for name in ("xs./..", *SIZES[1:])],
    "one that is too wide": [{"name": name, "width": 65 if name == "xs" else 64} for name in SIZES],
    "one of another format": [{"name": name, "format": "jpeg" if name == "xs" else "webp"} for name in SIZES],
}
"""What may not be sent for the default variants."""
WRONG_FILE: Mapping[str, Any] = {"name": "../../../x", "format": "webp", "width": 129, "height": 1 << 40}


def _answer(value: object) -> tuple[bytes]:
    return (json.dumps({"answer": value}).encode(),)


def _stage(name: str) -> bytes:
    return json.dumps({"stage": name}).encode()


def _error(code: str, detail: object) -> tuple[bytes]:
    return (json.dumps({"error": {"code": code, "detail": detail}}).encode(),)
