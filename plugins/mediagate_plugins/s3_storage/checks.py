"""The checks of a bucket for ``mediagate doctor``: existence, permissions, exposure, lifecycle rules, CORS."""

from __future__ import annotations

import secrets
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from mediagate import Check
from mediagate.errors import MediagateError, ObjectNotFound, StorageUnavailable
from mediagate.storage import segment
from mediagate_plugins.s3_storage.connection import code_of
from mediagate_plugins.s3_storage.lifecycle import remarks
from mediagate_plugins.s3_storage.storage import S3Storage

MAX_SKEW_S = 60.0
"""Servers refuse signatures from a skew of 15 minutes on; a clock that is off by a minute may drift to that."""
AWAY = (0, 502, 503, 504)
"""No answer, or the answer of a proxy whose server is unavailable."""
STRANGER_S = 10.0
"""Time limit of a request without credentials."""


def checks(storage: S3Storage) -> dict[str, Check]:
    """Return the checks of a storage's buckets: each returns one line, or raises an error with advice.

    The checks use the buckets and delete the objects that they write.
    """
    looks = {"bucket": _buckets, "clock": _clock, "rights": _rights, "exposure": _exposure, "lifecycle": _lifecycle}
    if storage.options.upload_origins:
        looks["cors"] = _cors
    return {part: partial(look, storage) for part, look in looks.items()}


def _names(storage: S3Storage) -> list[str]:
    return list(dict.fromkeys(storage.options.place(key)[0] for key in ("media/", "staging/")))


def _settled(problems: Collection[str], well: str) -> str:
    if problems:
        raise StorageUnavailable("; ".join(problems))
    return well


async def _head(storage: S3Storage, bucket: str) -> Any:
    return await storage.connection.ask(bucket, partial(storage.connection.client.head_bucket, Bucket=bucket))


async def _buckets(storage: S3Storage) -> str:
    names = _names(storage)
    missing = []
    for bucket in names:
        try:
            await _head(storage, bucket)
        except ObjectNotFound:
            missing.append(f"{bucket}: bucket not found; create it")
    return _settled(missing, f"{' and '.join(names)}: found")


async def _clock(storage: S3Storage) -> str:
    answer = await _head(storage, storage.options.bucket)
    try:
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"].get("date", ""))
    except ValueError:
        return "not compared: the server sends no date"
    skew_s = (datetime.now(UTC) - date).total_seconds()
    if abs(skew_s) > MAX_SKEW_S:
        way = "ahead of" if skew_s > 0 else "behind"
        what = f"{abs(skew_s):.0f} s {way} the server's, which will refuse signatures; set the clock by NTP"
        raise StorageUnavailable(what)
    return "agrees with the server's"


def _folders(storage: S3Storage) -> list[str]:
    published = [f"{root}/{source}/" for source in sorted(storage.options.sources) for root in ("media", "originals")]
    return ["staging/", *published]


def _some_key(folder: str) -> str:
    return f"{folder}doctor/check-{secrets.token_hex(8)}/x.webp"


async def _rights(storage: S3Storage) -> str:
    """Write, read, list and delete an object of each kind."""
    refused: dict[str, None] = {}
    for folder in _folders(storage):
        key = _some_key(folder)
        steps: dict[str, Callable[[], Awaitable[object]]] = {
            "write": partial(storage.put, key, b"x"),
            "read": partial(storage.get, key),
            "list": partial(_list, storage, folder),
            "delete": partial(storage.delete, [key]),
        }
        for verb, step in steps.items():
            try:
                await step()
            except MediagateError as exc:
                refused[f"cannot {verb}: {exc.detail.replace(key, folder)}"] = None
                if verb == "write":
                    break
    return _settled(refused, "write, read, list and delete work")


async def _exposure(storage: S3Storage) -> str:
    """Read an object of each kind without a signature."""
    wrong: list[str] = []
    for folder in _folders(storage):
        key = _some_key(folder)
        await storage.put(key, b"x")
        try:
            wrong += await _exposed(storage, folder, key)
        finally:
            await storage.delete([key])
    return _settled(wrong, "only public files can be read without a signature")


async def _list(storage: S3Storage, folder: str) -> None:
    async for _ in storage.list(folder):
        return


async def _exposed(storage: S3Storage, folder: str, key: str) -> list[str]:
    """Return a problem if a public file is unreadable without a signature, or a private one is readable."""
    options = storage.options
    name, below = options.key_prefixes.name_of(key), options.key_prefixes.name_of(folder)
    bases = [storage.address(key).removesuffix(name)]
    if options.public_url:
        bases.append(f"{options.public_url.rstrip('/')}/")
    if url := storage.url(key):
        status = (await _answer(storage, url))[0]
        problem = f"{bases[1]}{below} answers {status or 'nothing'} for an existing file: correct public_url"
        return [] if status == 200 else [problem]
    if folder != "staging/" and segment(key, 1) not in options.private_sources:
        return []
    return [
        f"{base}{below} is publicly readable: allow public reads of public sources only"
        for base in bases
        if (await _answer(storage, base + name))[0] == 200
    ]


async def _answer(
    storage: S3Storage, url: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str]]:
    """Return the status and headers of the answer to a request without credentials; status 0 without an answer."""
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


async def _lifecycle(storage: S3Storage) -> str:
    client = storage.connection.client
    problems, notes = [], []
    for bucket in _names(storage):
        places = {kind: storage.options.place(kind) for kind in ("media/", "originals/", "staging/")}
        here = {kind: name for kind, (place, name) in places.items() if place == bucket}
        try:
            found = remarks(
                await storage.connection.ask(bucket, partial(_rules, client, bucket)),
                live=[prefix for kind, prefix in here.items() if kind != "staging/"],
                staged=here.get("staging/"),
                versioned=await storage.connection.ask(bucket, partial(_versioned, client, bucket)),
            )
        except MediagateError as exc:
            notes.append(f"not checked: {exc.detail}")
            continue
        problems += [f"{bucket}: {problem}" for problem in found[0]]
        notes += [f"{bucket}: {note}" for note in found[1]]
    return _settled(problems, "; ".join(notes) or "no rule is harmful")


def _rules(client: Any, bucket: str) -> list[Mapping[str, Any]]:
    try:
        rules: list[Mapping[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules", [])
        return rules
    except ClientError as exc:
        if code_of(exc) == "NoSuchLifecycleConfiguration":
            return []
        raise


def _versioned(client: Any, bucket: str) -> bool:
    return bool(client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled")


async def _cors(storage: S3Storage) -> str:
    """Send the preflight request of a browser's upload (CORS protocol, Fetch standard)."""
    refused = []
    for origin in storage.options.upload_origins:
        asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
        url = storage.address("staging/preflight")
        status, headers = await _answer(storage, url, "OPTIONS", {"Origin": origin, **asks})
        if status in AWAY:
            raise StorageUnavailable(f"unknown: {url.partition('?')[0]} answers {status or 'nothing'}")
        allowed = headers.get("access-control-allow-origin") in (origin, "*")
        if not (200 <= status < 300 and allowed and "PUT" in headers.get("access-control-allow-methods", "")):
            refused.append(origin)
    problem = (
        f"pages of {' and '.join(refused)} may not upload: give the bucket a CORS rule with AllowedOrigins {refused}, "
        "AllowedMethods ['PUT'] and AllowedHeaders ['content-type']"
    )
    return _settled([problem] if refused else [], f"pages of {' and '.join(storage.options.upload_origins)} may upload")
