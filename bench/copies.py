"""How long ``mediagate storage copy`` takes, and how much memory: ``python -m bench.copies [--pictures N]``.

One real photo is uploaded to a gate; its files stand for those of N pictures, written a day ago. They are copied to a
bucket of a Ceph gateway on this machine, to another folder, and from the bucket to a third one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3

from mediagate import MediaGate, Settings, Source
from tests.support.rgw import running_gateway

PHOTO = Path(__file__).parents[1] / "tests" / "data" / "photos" / "photo_2725x2225.jpg"
DAY_S = 24 * 3600
BUCKET = "my-media"


@dataclass(frozen=True)
class Cost:
    """What one run of the command took."""

    what: str
    wall_s: float
    cpu_s: float
    peak_mb: float


async def publish(folder: Path) -> None:
    """Upload the photo and wait until it is published."""
    settings = Settings(data_dir=folder, image_processes=1)
    async with MediaGate(sources={"post": Source()}, settings=settings, moderation="off") as gate:
        job = await gate.upload(PHOTO, source_type="post", source_id="user-1")
        await gate.wait(job.job_id, timeout_s=120)


def multiply(files: Path, pictures: int) -> None:
    """Make more pictures of the one that a folder has, all of them a day old."""
    [first] = files.glob("media/post/user-1/*")
    for number in range(1, pictures):
        for root in ("media", "originals"):
            folder = files / root / "post" / "user-1"
            shutil.copytree(folder / first.name, folder / f"med_{number:026}")
    written = time.time() - DAY_S
    for path in published(files):
        os.utime(path, (written, written))


def published(files: Path) -> list[Path]:
    """Return the files of all pictures."""
    return [path for root in ("media", "originals") for path in (files / root).rglob("*.*")]


def measure(what: str, *options: str) -> Cost:
    """Run a copy to its end."""
    began = time.monotonic()
    words = [sys.executable, "-m", "mediagate.cli", "storage", "copy", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as copy:
        assert copy.stdout is not None
        said = copy.stdout.read()
        _, status, used = os.wait4(copy.pid, 0)
        copy.returncode = os.waitstatus_to_exitcode(status)
    if copy.returncode or not said.splitlines()[-1].startswith(("complete: ", "verified: ")):
        raise SystemExit(f"{what} failed:\n{said}")
    return Cost(what, time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Time copies between a folder and a bucket.")
    parser.add_argument("--pictures", type=int, default=1000)
    pictures = parser.parse_args().pictures
    with TemporaryDirectory() as folder, running_gateway() as gateway:
        data_dir, backup, restored = (Path(folder) / name for name in ("data", "backup", "restored"))
        files, bucket = data_dir / "files", f"s3://{BUCKET}"
        asyncio.run(publish(data_dir))
        multiply(files, pictures)
        keys = {"aws_access_key_id": gateway.access_key, "aws_secret_access_key": gateway.secret_key}
        boto3.client("s3", endpoint_url=gateway.url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
        os.environ |= {name.upper(): value for name, value in keys.items()}
        os.environ |= {"AWS_ENDPOINT_URL": gateway.url, "AWS_DEFAULT_REGION": "us-east-1"}
        size = sum(path.stat().st_size for path in published(files))
        print(f"{pictures:,} pictures: {len(published(files)):,} files, {size / 1e6:,.0f} MB")
        gate = ("--gate", "mediagate_plugins.standalone:gate")
        move, keep = ("--from", str(files), "--to", bucket, *gate), ("--from", str(files), "--to", str(backup), *gate)
        print(f"{'':<32}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}")
        for what, options in (
            ("folder to bucket", move),
            ("the same again", (*move, "--delete")),
            ("the same again, --verify", (*move, "--verify")),
            ("folder to folder", keep),
            ("the same again", (*keep, "--delete")),
            ("bucket to folder", ("--from", bucket, "--to", str(restored), *gate)),
        ):
            cost = measure(what, *options)
            print(f"{cost.what:<32}{cost.wall_s:>8.1f}{cost.cpu_s:>8.1f}{cost.peak_mb:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
