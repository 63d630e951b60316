"""The reference has the names that leave the service: fields of JSON, routes of plugins, spans, log fields, keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from mediagate import JobStatus, MediaGate, Source
from mediagate.observe.observer import Step
from mediagate.storage import FilesystemStorage
from mediagate.storage.mark import MARK_KEY
from mediagate.transfer.ownership import PROBE_KEY
from mediagate.values.layout import input_key, original_key, output_key, output_prefix, staging_key, variant_key
from tests.support.pages import PAGES, ROOT, first_column

HTTP, FIELDS, KEYS = (f"docs/reference/{name}.md" for name in ("http", "metrics-and-logs", "storage-keys"))
OF_JOBS = {"job_id", "source", "stage", "attempt"}
"""What `about(job)` adds to a log line."""


def part(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    text = PAGES[page].partition(f"\n## {heading}\n")[2]
    assert text, f"{page} has no heading {heading}"
    return text.partition("\n## ")[0]


def named(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def parsed(folder: str) -> Iterator[ast.Module]:
    for path in (ROOT / folder).rglob("*.py"):
        if "records/client" not in path.as_posix():
            yield ast.parse(path.read_text())


@pytest.mark.anyio
async def test_http_page_has_every_field_of_statuses_and_media(
    make_gate: Callable[..., MediaGate], photo: bytes
) -> None:
    gate = make_gate(sources={"avatar": Source(visibility="private", placeholders=("blurhash", "thumbhash"))})
    async with gate:
        job = await gate.upload(photo, source_type="avatar", source_id="u1")
        complete = await gate.wait(job.job_id, timeout_s=60)
    assert complete.media is not None
    of_jobs, of_media = named(part(HTTP, "Job status")), named(part(HTTP, "Media"))
    for status in JobStatus:
        body = replace(complete, job=replace(complete.job, status=status, error="x")).to_json(poll_after_ms=1)
        assert body.keys() <= of_jobs, status
        assert body["usage"].keys() <= of_jobs
    media = complete.media.to_json()
    assert "urlsExpireAt" in media and "thumbhash" in media
    assert media.keys() | media["variants"][0].keys() <= of_media
    stages = named(re.findall(r"^\| `mediagate_stage_seconds` .*", PAGES[FIELDS], re.M)[0])
    assert complete.job.timings_ms.keys() - stages <= of_jobs


def test_http_page_has_every_route_of_a_plugin() -> None:
    added = set()
    for module in parsed("plugins/mediagate_plugins"):
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_route":
                written = ast.unparse(node.args[0])
                if written == "self.path + path":  # of a dialect, whose page lists its routes
                    continue
                path = str(eval(written, {"path": "/"}))
                (methods,) = [ast.literal_eval(word.value) for word in node.keywords if word.arg == "methods"]
                shown = re.sub(r"_(\w)", lambda end: end[1].upper(), path)
                added |= {f"{method} {shown}" for method in methods}
    assert len(added) >= 5
    table = part(HTTP, "Routes").partition("Plugins add these routes:")[2]
    listed = set(re.findall(r"^\| `(\w+ /[^`]*)` \|", table, re.M))
    assert listed == added


def test_traces_page_has_every_span() -> None:
    spans = {words.removeprefix("mediagate ") for words in re.findall(r"`([\w ]+)`", "\n".join(
        line.split(" | ")[0] for line in part(FIELDS, "Spans").splitlines() if line.startswith("| `")
    ))}  # fmt: skip
    assert spans == {*get_args(Step), "queue"}


def fields_of(call: ast.Call, module: ast.Module) -> set[str]:
    """Return the names of the fields that a call of a logger adds to its line."""
    found: set[str] = set()
    for extra in [word.value for word in call.keywords if word.arg == "extra"]:
        match extra:
            case ast.Call(func=ast.Name(id="about")):
                found |= OF_JOBS | {word.arg for word in extra.keywords if word.arg}
            case ast.Dict():
                found |= keys_of(extra)
            case ast.Name():
                assigned = [
                    node.value
                    for node in ast.walk(module)
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == extra.id
                ]
                found |= {name for value in assigned if isinstance(value, ast.Dict) for name in keys_of(value)}
            case _:
                raise AssertionError(f"write the fields as a dict: {ast.unparse(extra)}")
    return found


def keys_of(fields: ast.Dict) -> set[str]:
    return {str(key.value) for key in fields.keys if isinstance(key, ast.Constant)}


def test_logs_page_has_every_field() -> None:
    added = {
        name
        for folder in ("service/mediagate", "plugins/mediagate_plugins")
        for module in parsed(folder)
        for call in ast.walk(module)
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log.")
        for name in fields_of(call, module)
    }
    assert {"job_id", "hook", "endpoint"} <= added
    always = {"time", "level", "logger", "message", "exception"}
    of_the_server = {"method", "path", "http_status"}
    listed = first_column(FIELDS) & named(part(FIELDS, "Log fields"))
    assert listed == added | always | of_the_server


class Noted(FilesystemStorage):
    """A storage that notes the keys that it is given to write."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.keys: list[str] = []

    async def put(self, key: str, body: bytes | Path) -> None:
        self.keys.append(key)
        await super().put(key, body)


@pytest.mark.anyio
async def test_storage_page_has_every_kind_of_key(tmp_path: Path) -> None:
    storage = Noted(tmp_path)
    await storage.check()
    (check,) = storage.keys
    whose = ("avatar", "user-1", "med_1")
    written = {
        staging_key("job_1"),
        input_key("job_1", 0),
        staging_key("upl_1"),
        check,
        MARK_KEY,
        PROBE_KEY,
        original_key(*whose, "webp"),
        variant_key(*whose, "sm", "webp"),
        output_key(output_prefix(*whose), 0, "large", "webp"),
    }
    values = {
        "jobId": "job_1",
        "uploadId": "upl_1",
        "random": check.rpartition("-")[2],
        "sourceType": "avatar",
        "sourceId": "user-1",
        "mediaId": "med_1",
        "variant": "sm",
        "number": "0",
        "name": "large",
        "ext": "webp",
    }
    listed = {re.sub(r"\{(\w+)\}", lambda name: values[name[1]], key) for key in first_column(KEYS)}
    assert listed == written
