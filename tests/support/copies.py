"""Runs of ``mediagate storage copy`` on a small folder of a gate's files, and what they print."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.support.command import mediagate
from tests.support.s3_server import S3Server

KEYS = [
    "staging/job_1",
    "media/avatar/u1/med_1/sm.webp",
    "media/document/u1/med_2/sm.webp",
    "originals/avatar/u1/med_1/original.jpg",
]
MARK = "mediagate/database.json"
WITHIN_SKEW_S, BEYOND_SKEW_S = 60, 3600


def write(root: Path, key: str, body: bytes, *, age_s: float = BEYOND_SKEW_S) -> Path:
    """Write a file that is so many seconds old."""
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    now = path.stat().st_mtime
    os.utime(path, (now - age_s, now - age_s))
    return path


def mark(root: Path, database: str = "db_1", generation: int = 3) -> None:
    """Write the mark of a database into a folder."""
    write(root, MARK, json.dumps({"database": database, "generation": generation}).encode())


def filled(root: Path) -> Path:
    """Write some files of a gate and their mark into a folder."""
    for number, key in enumerate(KEYS):
        write(root, key, bytes([number]) * 1000)
    mark(root)
    return root


def copy(old: object, new: object, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Copy from an address to another, with the sources of ``plain_gate`` unless ``env`` names another gate."""
    words, env = ("--from", str(old), "--to", str(new), *options), {"MEDIAGATE_GATE": "plain_gate:gate", **env}
    return mediagate("storage", "copy", *words, data_dir=Path("data"), **env)


def copied(old: object, new: object, *options: str, **env: str) -> list[str]:
    """Copy, which succeeds, and return the lines of the output."""
    done = copy(old, new, *options, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def refused(old: object, new: object, *options: str, **env: str) -> str:
    """Copy, which is refused without a traceback, and return the message."""
    done = copy(old, new, *options, **env)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "mediagate: " in done.stderr, done.stderr
    return done.stderr


def content(root: Path) -> dict[str, bytes]:
    """Return the files of a folder by their keys."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".tmp" not in path.parts
    }


def in_bucket(server: S3Server) -> dict[str, str]:
    """Return the variables that name the server to boto3."""
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }
