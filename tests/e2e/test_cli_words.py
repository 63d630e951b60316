"""What the commands say: of themselves, of a gate that is not there, of nothing to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import PYTHONPATH

CHATTY = """
import logging
from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")
logging.getLogger("somebody.else").info("I was loaded")
logging.getLogger("somebody.else").warning("I have a fault")
logging.getLogger("mediagate.own").info("our own line")
"""


def mediagate(*arguments: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mediagate.cli", *arguments],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "MEDIAGATE_DATA_DIR": str(folder / "data"), **env},
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip


def test_help_says_what_the_program_does(tmp_path: Path) -> None:
    done = mediagate("--help", folder=tmp_path)
    said = " ".join(done.stdout.replace("│", " ").split())
    assert "Takes image uploads" in said and "MEDIAGATE_GATE" in said
    for of_the_inside in ("entry point", "typer", "imports"):
        assert of_the_inside not in said


@pytest.mark.parametrize("name", ["media:gate", "sub.media:gate"])
def test_a_gate_that_cannot_be_loaded_is_told_with_the_folder(tmp_path: Path, name: str) -> None:
    done = mediagate("doctor", name, folder=tmp_path)
    assert done.returncode == 1
    assert f"cannot load {name!r} in the folder {tmp_path}: No module named" in done.stderr


def test_libraries_are_not_heard_before_an_answer(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    done = mediagate("janitor", "chatty:gate", "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "I was loaded" not in done.stderr
    assert "I have a fault" in done.stderr and "our own line" in done.stderr


def test_retry_says_when_there_is_nothing_to_try_again(tmp_path: Path) -> None:
    done = mediagate("retry", "plain_gate:gate", "--code", "image_crashed", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "no FAILED job with the code image_crashed can be tried again\n")
    assert mediagate("retry", "plain_gate:gate", "--code", "attempts_exhausted", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("storage_unavailible", "did you mean storage_unavailable?"),
        ("image_crash", "image_crashed?"),
        ("x", "docs/reference/errors.md"),
    ],
)
def test_retry_refuses_a_code_that_there_is_not(tmp_path: Path, code: str, said: str) -> None:
    done = mediagate("retry", "plain_gate:gate", "--code", code, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"there is no code {code!r}" in done.stderr and said in done.stderr


@pytest.mark.parametrize("log", [(), ("--log", "json"), ("--log=json",)])
def test_own_command_loads_no_plugin(tmp_path: Path, log: tuple[str, ...]) -> None:
    assert not plugins_loaded_by(*log, "doctor", "--help", folder=tmp_path)
    assert "mediagate_plugins.webhooks.commands" in plugins_loaded_by(*log, "--help", folder=tmp_path)


def plugins_loaded_by(*arguments: str, folder: Path) -> set[str]:
    done = mediagate(*arguments, folder=folder, PYTHONVERBOSE="1")
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^import '(mediagate_plugins[\w.]*)'", done.stderr, re.M))


def test_command_of_a_plugin_works_after_the_log_format_and_before_the_name_of_an_own_command(tmp_path: Path) -> None:
    done = mediagate("--log", "json", "keys", "create", "keys_gate:gate", "--owner", "worker", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith('{"time"') and "for worker; keep what follows" in done.stderr
    assert done.stdout.startswith("mg_")
