"""``python -m tests.corpus`` compares which pictures the service and Chromium accept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.support.programs import chromium_path

ROOT = Path(__file__).parents[2]


def test_corpus_command_prints_differences_between_service_and_chromium(tmp_path: Path, data: Path) -> None:
    chromium_path()
    below = tmp_path / "below"
    below.mkdir()
    png = (data / "formats" / "hopper.png").read_bytes()
    middle = len(png) // 2
    shutil.copy(data / "formats" / "hopper.jpg", tmp_path / "a.jpg")
    shutil.copy(data / "formats" / "arrow.heic", tmp_path / "b.heic")
    Image.new("RGB", (20, 20), "red").save(below / "c.bmp")
    (below / "d.png").write_bytes(
        png[:middle] + bytes(byte ^ 255 for byte in png[middle : middle + 400]) + png[middle + 400 :]
    )
    (below / "e.txt").write_text("no picture")
    (below / "f.webp").write_bytes((data / "formats" / "hopper.webp").read_bytes())
    command = [sys.executable, "-m", "tests.corpus", str(tmp_path), "--source", '{"formats": ["jpeg", "png", "heic"]}']
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr
    table, here, there, faults = told.stdout.split("\n\n")
    assert "| COMPLETE | 2 | 1 | 0 | 1 | 0 | 0 |" in table
    assert "| 415 unsupported_type | 3 | 2 | 0 | 1 | 0 | 0 |" in table
    assert "image_undecodable | 1 | 0 | 1 | 0 | 0 | 0 |" in table
    assert here.startswith("Shown whole by Chromium, not COMPLETE here: 2\n")
    assert "c.bmp: 415 unsupported_type, in Chromium whole (BMP files are not accepted; send JPEG, PNG or HEIC)" in here
    assert "f.webp: 415 unsupported_type" in here
    assert there.startswith("COMPLETE here, not shown whole by Chromium: 1\n")
    assert "b.heic: COMPLETE, in Chromium not" in there
    assert faults == "Faults of the service: 0\n"
