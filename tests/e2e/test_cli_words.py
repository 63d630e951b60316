"""Output of the commands: help, an unloadable gate, nothing to do, log lines, plugins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.command import mediagate

CHATTY = """
import logging
from mediagate import MediaGate, Source

gate = MediaGate(sources={"avatar": Source()}, moderation="off")
logging.getLogger("somebody.else").info("I was loaded")
logging.getLogger("somebody.else").warning("I have a fault")
logging.getLogger("mediagate.own").info("our own line")
"""


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands run in a folder of their own, from which they load gates."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_help_describes_the_program_without_internals(data_dir: Path) -> None:
    done = mediagate("--help", data_dir=data_dir)
    said = " ".join(done.stdout.replace("│", " ").split())
    assert "Accepts image uploads" in said and "MEDIAGATE_GATE" in said
    for of_the_inside in ("entry point", "typer", "imports"):
        assert of_the_inside not in said


@pytest.mark.parametrize("name", ["media:gate", "sub.media:gate"])
def test_doctor_names_the_folder_of_an_unloadable_gate(tmp_path: Path, data_dir: Path, name: str) -> None:
    done = mediagate("doctor", name, data_dir=data_dir)
    assert done.returncode == 1
    assert f"cannot load {name!r} in the folder {tmp_path}: No module named" in done.stderr


def test_commands_print_no_info_logs_of_libraries(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    done = mediagate("janitor", "chatty:gate", "--dry-run", data_dir=data_dir)
    assert done.returncode == 0, done.stderr
    assert "I was loaded" not in done.stderr
    assert "I have a fault" in done.stderr and "our own line" in done.stderr


def test_retry_reports_that_no_failed_job_matches(data_dir: Path) -> None:
    done = mediagate("retry", "plain_gate:gate", "--code", "image_crashed", data_dir=data_dir)
    assert (done.returncode, done.stdout) == (0, "no retryable FAILED job has the code image_crashed\n")
    assert mediagate("retry", "plain_gate:gate", "--code", "attempts_exhausted", data_dir=data_dir).returncode == 0


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("storage_unavailible", "did you mean storage_unavailable?"),
        ("image_crash", "image_crashed?"),
        ("x", 'the page "Errors"'),
    ],
)
def test_retry_rejects_an_unknown_code(data_dir: Path, code: str, said: str) -> None:
    done = mediagate("retry", "plain_gate:gate", "--code", code, data_dir=data_dir)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"unknown code {code!r}" in done.stderr and said in done.stderr


@pytest.mark.parametrize("log", [(), ("--log", "json"), ("--log=json",)])
def test_core_command_loads_no_plugin(data_dir: Path, log: tuple[str, ...]) -> None:
    assert not plugins_loaded_by(*log, "doctor", "--help", data_dir=data_dir)
    assert "mediagate_plugins.webhooks.commands" in plugins_loaded_by(*log, "--help", data_dir=data_dir)


def plugins_loaded_by(*arguments: str, data_dir: Path) -> set[str]:
    done = mediagate(*arguments, data_dir=data_dir, PYTHONVERBOSE="1")
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^import '(mediagate_plugins[\w.]*)'", done.stderr, re.M))


def test_plugin_command_accepts_log_option_and_a_core_command_as_value(data_dir: Path) -> None:
    done = mediagate("--log", "json", "keys", "create", "keys_gate:gate", "--owner", "worker", data_dir=data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith('{"time"') and "for worker; store it now" in done.stderr
    assert done.stdout.startswith("mg_")
