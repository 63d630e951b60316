"""A service moves from files to a bucket by the commands of the documentation, and loses nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import loopback
from tests.support.command import mediagate
from tests.support.fault_proxy import Exchange, FaultProxy
from tests.support.pages import run_shell, shell_blocks, write_files
from tests.support.pictures_kept import Kept, absolute, fetched, kept, sent, still_there, uploaded
from tests.support.s3_server import S3Server
from tests.support.server import FAST, PYTHONPATH, Server

PAGE = "docs/how-to/move-to-a-bucket.md"
WHOLE = 10
"""PUT requests that arrive before the one in whose middle the copy is killed."""


def command(step: str) -> str:
    """Return the command of the page for a step."""
    [found] = [block for block in shell_blocks(PAGE, step) if "mediagate storage copy" in block]
    return found


class Site:
    """A folder with the gate of the tests, ``media.py`` of the page, and the service's data."""

    def __init__(self, folder: Path, s3_server: S3Server, bucket: str) -> None:
        self.folder = folder
        self.data_dir = folder / ".mediagate"
        self.files = self.data_dir / "files"
        self.env = {
            "AWS_ENDPOINT_URL": s3_server.url,
            "AWS_ACCESS_KEY_ID": s3_server.access_key,
            "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        [name] = write_files(PAGE, folder)
        module = (folder / name).read_text()
        assert "my-media" in module and "mediagate_plugins.standalone" in module
        module = module.replace("my-media", bucket).replace("mediagate_plugins.standalone", "private_gate")
        (folder / name).write_text(module)

    def service(self, gate: str) -> Server:
        return Server(gate, self.data_dir, **FAST, **self.env)

    def run(self, step: str) -> str:
        """Run the command of a step of the page, and return its output."""
        done = run_shell(command(step), folder=self.folder, PYTHONPATH=PYTHONPATH, **self.env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server, bucket: str) -> Site:
    monkeypatch.chdir(tmp_path)
    return Site(tmp_path, s3_server, bucket)


@pytest.fixture
def services() -> Iterator[ExitStack]:
    """Stops the services that are registered with it."""
    with ExitStack() as stack:
        yield stack


def started(services: ExitStack, service: Server, *, worker: bool = True) -> Server:
    services.callback(stop, service)
    service.start(MEDIAGATE_WORKER=str(worker).lower())
    return service


def stop(service: Server) -> None:
    if service.process is not None and service.process.poll() is None:
        service.stop()


class Stall:
    """Lets requests pass until the one after ``WHOLE`` PUTs: half of its body arrives, and nothing follows."""

    def __init__(self) -> None:
        self.puts = 0
        self.reached = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.head.startswith(b"PUT"):
            self.puts += 1
        if self.puts <= WHOLE:
            await exchange.passed_on()
            return
        _, writer = await asyncio.open_connection("127.0.0.1", exchange.port)
        with closing(writer):
            writer.write(exchange.head + await exchange.client.readexactly(100))
            await writer.drain()
            self.reached.set()
            while await exchange.client.read(65536):
                pass


async def killed_copy(site: Site, port: int) -> None:
    """Run the page's copy, and kill it (SIGKILL) while one file is half sent."""
    async with FaultProxy(port) as proxy:
        proxy.always = stall = Stall()
        copy = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mediagate.cli", *command("## 2. Copy while the service runs").split()[1:],
            "--concurrency", "1",
            env={**os.environ, "PYTHONPATH": PYTHONPATH, **site.env, "AWS_ENDPOINT_URL": proxy.url},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(120):
            await stall.reached.wait()
        copy.kill()
        await copy.wait()


def objects(s3: Any, bucket: str) -> dict[str, bytes]:
    """Return all objects of the bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def files(site: Site) -> dict[str, bytes]:
    """Return all files of the folder, apart from the mark, which the service goes on writing."""
    paths = [path for path in site.files.rglob("*") if path.is_file() and ".tmp" not in path.parts]
    found = {path.relative_to(site.files).as_posix(): path.read_bytes() for path in paths}
    return {key: body for key, body in found.items() if not key.startswith("mediagate/")}


def declared(service: Server, photo: bytes) -> dict[str, Any]:
    told = {"sourceType": "avatar", "sourceId": "user-1", "contentType": "image/jpeg", "size": len(photo)}
    answer = loopback.post(f"{service.url}/uploads", json=told, timeout=30)
    assert answer.status_code == 201, answer.text
    target: dict[str, Any] = answer.json()
    return target


def content_sent(service: Server, target: dict[str, Any], photo: bytes) -> None:
    answer = loopback.put(absolute(service, target["url"]), content=photo, headers=target["headers"], timeout=30)
    assert answer.status_code == 204, answer.text


def completed(service: Server, target: dict[str, Any]) -> Kept:
    answer = loopback.post(absolute(service, target["completeUrl"]), timeout=30)
    assert answer.status_code == 202, answer.text
    return kept(service, answer.json()["jobId"])


def test_service_moves_to_a_bucket_without_losing_a_file(
    site: Site, services: ExitStack, s3_server: S3Server, s3: Any, bucket: str, photo: bytes, data: Path
) -> None:
    large = (data / "photos" / "paris_icc_exif_xmp.png").read_bytes()
    service = started(services, site.service("private_gate:gate"))
    pictures: list[Kept] = [
        uploaded(service, picture, source) for source in ("avatar", "document") for picture in (photo, large, photo)
    ]

    # The first run is killed in the middle of a file.
    asyncio.run(killed_copy(site, s3_server.port))
    before = objects(s3, bucket)
    originals = files(site)
    half_done = {key: body for key, body in before.items() if not key.startswith("mediagate/")}
    assert 0 < len(half_done) < len(originals)
    assert all(originals[key] == body for key, body in half_done.items())

    # The second goes on, while the service accepts and deletes pictures.
    pictures.append(uploaded(service, photo, "document"))
    said = site.run("## 2. Copy while the service runs")
    assert f"{len(half_done)} were there already" in said, said
    assert said.splitlines()[-1].startswith("verified: the destination has all ")
    deleted = pictures.pop(0)
    assert loopback.delete(f"{service.url}/media/{deleted.media_id}", timeout=30).status_code == 204
    pictures.append(uploaded(service, large, "avatar"))
    service.stop()

    # Jobs are waiting, and direct uploads are under way, when the service stops for the last run.
    service = started(services, site.service("private_gate:gate"), worker=False)
    waiting = [sent(service, photo, source) for source in ("avatar", "document", "avatar")]
    arrived, announced = declared(service, photo), declared(service, photo)
    content_sent(service, arrived, photo)
    service.stop()
    reading = started(services, site.service("private_gate:gate"), worker=False)
    said = site.run("## 3. Stop the service and copy the rest")
    assert said.splitlines()[-1].startswith("complete: the destination has all "), said
    in_folder, in_bucket = files(site), objects(s3, bucket)
    marks = {key: in_bucket.pop(key) for key in list(in_bucket) if key.startswith("mediagate/")}
    assert in_bucket == in_folder
    assert marks == {"mediagate/database.json": (site.files / "mediagate" / "database.json").read_bytes()}

    service = started(services, site.service("media:gate"))
    for picture in pictures:
        assert still_there(service, picture) and still_there(reading, picture)
        # The URLs that were given out before, on the gate, still work; private ones carry its signature.
        for url, body in zip(picture.urls, picture.files, strict=True):
            assert fetched(service, url) == body
    reading.stop()
    for url in deleted.urls:
        assert loopback.get(absolute(service, url), timeout=30).status_code == 404
    for job_id in waiting:
        kept(service, job_id)
    completed(service, arrived)
    content_sent(service, announced, photo)
    completed(service, announced)
    assert len(files(site)) == len(in_folder), "the service still writes to the folder"
    said = site.run("## 5. Remove the folder")
    missing = [line.removeprefix("would copy ") for line in said.splitlines() if "/" in line]
    assert missing and all(key.startswith("staging/") for key in missing), said
    service.stop()


def test_copied_objects_have_the_headers_of_their_source(
    site: Site, services: ExitStack, s3: Any, bucket: str, photo: bytes
) -> None:
    service = started(services, site.service("private_gate:gate"))
    for source in ("avatar", "document"):
        uploaded(service, photo, source)
    service.stop()
    site.run("## 3. Stop the service and copy the rest")
    heads = {key: s3.head_object(Bucket=bucket, Key=key) for key in objects(s3, bucket)}
    told = {(key.split("/")[1], head["CacheControl"]) for key, head in heads.items() if not key.startswith("mediagate")}
    assert told == {
        ("avatar", "public, max-age=31536000, immutable"),
        ("document", "private, max-age=3600"),
    }
    for key, head in heads.items():
        kind = {"webp": "image/webp", "jpg": "image/jpeg"}.get(key.rpartition(".")[2], "application/octet-stream")
        assert head["ContentType"] == kind


def test_files_move_back_to_a_folder_that_a_gate_then_serves(
    site: Site, services: ExitStack, bucket: str, photo: bytes
) -> None:
    service = started(services, site.service("media:gate"))
    pictures = [uploaded(service, photo, source) for source in ("avatar", "document")]
    service.stop()
    said = site.run("## Back to a folder")
    assert said.splitlines()[-1].startswith("complete: "), said
    service = started(services, site.service("private_gate:gate"))
    for picture in pictures:
        assert still_there(service, picture)
    service.stop()
    modes = {path.stat().st_mode & 0o777 for path in site.files.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_gate_of_the_page_has_the_sources_of_make_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server, s3: Any, bucket: str
) -> None:
    monkeypatch.chdir(tmp_path)
    site = Site(tmp_path, s3_server, bucket)
    write_files(PAGE, tmp_path)
    module = (tmp_path / "media.py").read_text().replace("my-media", bucket)
    (tmp_path / "media.py").write_text(module)
    done = mediagate("doctor", "media:gate", data_dir=site.data_dir, **site.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"S3Storage({bucket}/)" in done.stdout
