"""What ``mediagate doctor`` asks of a bucket: is it there, may we, may others not, and is nothing about to be lost."""

from __future__ import annotations

import secrets
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from mediagate.errors import MediagateError
from mediagate.findings import Finding
from mediagate_plugins.s3_storage.connection import code_of
from mediagate_plugins.s3_storage.lifecycle import remarks

if TYPE_CHECKING:
    from mediagate_plugins.s3_storage.storage import S3Storage

MAX_SKEW_S = 60.0
"""Servers refuse signatures from 15 minutes; a clock that is a minute off will get there."""
STRANGER_S = 10.0
"""How long a request without credentials may take."""


async def examine(storage: S3Storage) -> AsyncIterator[Finding]:
    """Examine a storage's buckets by using them; what was written is deleted again."""
    buckets = dict.fromkeys(storage.options.place(key)[0] for key in ("media/", "staging/"))
    for bucket in buckets:
        try:
            answer = await storage.connection.ask(bucket, partial(storage.connection.client.head_bucket, Bucket=bucket))
        except MediagateError as exc:
            yield Finding("bucket", False, f"{bucket}: {exc.detail}")
            return
        yield Finding("bucket", True, f"{bucket} is there")
    yield _clock(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))
    for finding in await _use(storage):
        yield finding
    for bucket in buckets:
        yield await _lifecycle(storage, bucket)
    for origin in storage.options.upload_origins:
        yield await _cors(storage, origin)


def _clock(date: str | None) -> Finding:
    try:
        skew_s = (datetime.now(UTC) - parsedate_to_datetime(date or "")).total_seconds()
    except ValueError:
        return Finding("clock", True, "not compared: the server does not tell its time")
    if abs(skew_s) <= MAX_SKEW_S:
        return Finding("clock", True, "agrees with the server's")
    way = "ahead of" if skew_s > 0 else "behind"
    text = f"{abs(skew_s):.0f} s {way} the server's, which will refuse signatures; set the clock by NTP"
    return Finding("clock", False, text)


async def _use(storage: S3Storage) -> list[Finding]:
    """Write, read, list and delete an object of each kind that there is, and read each as a stranger."""
    refused: dict[str, None] = {}
    exposed: list[Finding] = []
    published = [f"{root}/{source}/" for source in sorted(storage.options.sources) for root in ("media", "originals")]
    for folder in ("staging/", *published):
        key = f"{folder}doctor/check-{secrets.token_hex(8)}/x.webp"

        async def look(folder: str = folder, key: str = key) -> None:
            exposed.extend(await _exposure(storage, folder, key))

        steps: dict[str, Callable[[], Awaitable[object]]] = {
            "write": partial(storage.put, key, b"x"),
            "read": partial(storage.get, key),
            "list": partial(_list, storage, folder),
            "ask as a stranger": look,
            "delete": partial(storage.delete, [key]),
        }
        for verb, step in steps.items():
            try:
                await step()
            except MediagateError as exc:
                refused[f"cannot {verb}: {exc.detail.replace(key, folder)}"] = None
                if verb == "write":
                    break
    return [
        *([Finding("rights", False, problem) for problem in refused] or [Finding("rights", True, RIGHTS)]),
        *(exposed or [Finding("exposure", True, "without a signature, only what is public can be read")]),
    ]


RIGHTS = "write, read, list and delete work"


async def _list(storage: S3Storage, folder: str) -> None:
    async for _ in storage.list(folder):
        return


async def _exposure(storage: S3Storage, folder: str, key: str) -> list[Finding]:
    """Say where a stranger, without a signature, does not read what is public, or reads what is private."""
    options = storage.options
    bases = [storage.address(key).removesuffix(key)]
    if options.public_url:
        bases.append(f"{options.public_url.rstrip('/')}/")
    if url := storage.url(key):
        status = (await _answer(storage, url))[0]
        text = f"{bases[1]}{folder} answers {status or 'nothing'} for a file that is there: let public_url lead to it"
        return [] if status == 200 else [Finding("exposure", False, text)]
    if folder != "staging/" and folder.split("/")[1] not in options.private_sources:
        return []
    return [
        Finding("exposure", False, f"everybody can read {base}{folder}: let the public read the public sources only")
        for base in bases
        if (await _answer(storage, base + key))[0] == 200
    ]


async def _answer(
    storage: S3Storage, url: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str]]:
    """Return the status and headers that a stranger is answered, 0 when nothing comes."""
    request = urllib.request.Request(url, method=method, headers=dict(headers or {}))

    def ask() -> tuple[int, Mapping[str, str]]:
        try:
            with urllib.request.urlopen(request, timeout=STRANGER_S) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, {name.lower(): value for name, value in exc.headers.items()}
        except OSError:
            return 0, {}

    return await storage.connection.ask("a request without credentials", ask)


async def _lifecycle(storage: S3Storage, bucket: str) -> Finding:
    client = storage.connection.client

    def rules() -> list[Mapping[str, Any]]:
        try:
            found: list[Mapping[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", [])
            return found
        except ClientError as exc:
            if code_of(exc) == "NoSuchLifecycleConfiguration":
                return []
            raise

    places = {kind: storage.options.place(kind) for kind in ("media/", "originals/", "staging/")}
    here = {kind: before + kind for kind, (place, before) in places.items() if place == bucket}
    try:
        problems, notes = remarks(
            await storage.connection.ask(bucket, rules),
            live=[prefix for kind, prefix in here.items() if kind != "staging/"],
            staged=here.get("staging/"),
            versioned=await storage.connection.ask(bucket, lambda: _versioned(client, bucket)),
        )
    except MediagateError as exc:
        return Finding("lifecycle", True, f"not looked at: {exc.detail}")
    return Finding("lifecycle", not problems, f"{bucket}: {'; '.join([*problems, *notes]) or 'no rule harms'}")


def _versioned(client: Any, bucket: str) -> bool:
    return bool(client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled")


async def _cors(storage: S3Storage, origin: str) -> Finding:
    """Ask as a browser does before it uploads (the CORS protocol's preflight, Fetch standard)."""
    asks = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    status, headers = await _answer(storage, storage.address("staging/preflight"), "OPTIONS", asks)
    allowed = headers.get("access-control-allow-origin") in (origin, "*")
    if 200 <= status < 300 and allowed and "PUT" in headers.get("access-control-allow-methods", ""):
        return Finding("cors", True, f"pages of {origin} may upload")
    text = f"pages of {origin} may not upload: give the bucket a CORS rule with AllowedOrigins [{origin!r}], "
    return Finding("cors", False, text + "AllowedMethods ['PUT'] and AllowedHeaders ['content-type']")
