"""A file that causes thousands of decoder warnings adds one log line per decoding."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image

from tests.support.server import running

TAGS = 5000


def broken_exif() -> bytes:
    """EXIF with many entries whose values all lie beyond the end of the file."""
    entries = b"".join(struct.pack("<HHLL", 0x8001 + n, 2, 4_000_000 + n, 0x7FFFFFF0) for n in range(TAGS))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", TAGS) + entries + b"\0\0\0\0"


def picture(format: str, **options: object) -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, format, **options)
    return file.getvalue()


def jpeg() -> bytes:
    body = b"Exif\0\0" + broken_exif()
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + picture("JPEG")[2:]


def png() -> bytes:
    file, exif = picture("PNG"), broken_exif()
    chunk = struct.pack(">L", len(exif)) + b"eXIf" + exif + struct.pack(">L", zlib.crc32(b"eXIf" + exif))
    return file[:33] + chunk + file[33:]


def webp() -> bytes:
    return picture("WEBP", exif=b"Exif\0\0" + broken_exif())


def test_decoder_warnings_are_logged_as_a_count(tmp_path: Path) -> None:
    with running("plain_gate:gate", tmp_path / "data", MEDIAGATE_IMAGE_PROCESSES="1") as server:
        for file in (jpeg(), png(), webp()):
            before = len(server.log.read_text())
            sent = server.upload("a", file)
            assert sent.status_code == 202, sent.text
            assert server.settled(sent.json()["jobId"]).status_code == 200
            said = server.log.read_text()[before:]
            counted = [line for line in said.splitlines() if " warnings; first: " in line]
            assert 1 <= len(counted) <= 2, said[:4000]
            assert len(said) < 10_000
