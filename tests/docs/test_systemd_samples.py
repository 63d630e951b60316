"""The units of examples/deploy: systemd accepts them, and their limits agree with those of the service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mediagate import Settings
from mediagate.kernel.departure import CLOSING_S
from tests.support.deploy_samples import SAMPLES, replaced, sample
from tests.support.programs import program
from tests.support.variables import unknown

UNITS = sorted(path.name for path in SAMPLES.glob("*.service"))
ON_UNITS = pytest.mark.parametrize("unit", UNITS)
LANDLOCK = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
GIB = 1024**3


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze", "systemd"), *words]
    env = {**os.environ, "SYSTEMD_COLORS": "0"}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def values(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", sample(unit), re.M)


def written(unit: str, folder: Path) -> Path:
    """Write a unit whose program is here."""
    here = Path(sys.executable).with_name("mediagate")
    path = folder / unit
    path.write_text(replaced(sample(unit), {"/opt/mediagate/bin/mediagate": str(here)}))
    return path


@ON_UNITS
def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(written(unit, tmp_path)))
    said = [line for line in done.stderr.splitlines() if unit.partition("@")[0] in line]
    assert (done.returncode, said) == (0, [])


def test_systemd_reports_an_unknown_directive_of_a_unit(tmp_path: Path) -> None:
    path = written(UNITS[0], tmp_path)
    path.write_text(path.read_text().replace("Restart=", "Restrat="))
    assert "Restrat" in analyze("verify", "--man=no", "--recursive-errors=no", str(path)).stderr


@ON_UNITS
def test_unit_confines_its_processes(unit: str, tmp_path: Path) -> None:
    done = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", str(written(unit, tmp_path)))
    assert done.returncode == 0, done.stdout


@ON_UNITS
def test_unit_allows_the_walls_of_image_processes(unit: str) -> None:
    allowed = {word for line in values(unit, "SystemCallFilter") for word in line.split()}
    assert allowed > LANDLOCK
    known = analyze("syscall-filter", "@known").stdout.split()
    assert set(known) >= LANDLOCK
    # prctl installs the seccomp filter; memfd_create holds the state of the cores.
    for group, call in (("@process", "prctl"), ("@ipc", "memfd_create")):
        assert call in analyze("syscall-filter", group).stdout.split()
        assert group in analyze("syscall-filter", "@system-service").stdout.split()
    # The query engine's runtime compiles to memory.
    assert not values(unit, "MemoryDenyWriteExecute")


@ON_UNITS
def test_unit_waits_longer_than_the_service_drains(unit: str) -> None:
    (timeout_s,) = values(unit, "TimeoutStopSec")
    (command,) = values(unit, "ExecStart")
    delay = re.search(r"--drain-delay (\d+)", command)
    drains_s = Settings.model_fields["drain_timeout_s"].default + CLOSING_S + int(delay[1] if delay else 0)
    assert int(timeout_s) > drains_s
    # Otherwise systemd ends the image processes and the query engine at the same time.
    assert values(unit, "KillMode") == ["mixed"]


def test_worker_unit_has_room_for_its_image_processes() -> None:
    (limit,) = values("mediagate-worker@.service", "MemoryMax")
    (count,) = re.findall(r"^Environment=MEDIAGATE_IMAGE_PROCESSES=(\d+)$", sample("mediagate-worker@.service"), re.M)
    one = Settings.model_fields["image_memory_bytes"].default
    assert int(limit.removesuffix("G")) * GIB >= int(count) * one + GIB


@ON_UNITS
def test_cli_accepts_the_command_of_the_unit(unit: str) -> None:
    (command,) = values(unit, "ExecStart")
    words = command.replace("%i", "8000").split()[1:]
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli", *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_environment_file_has_known_variables_only() -> None:
    names = set(re.findall(r"^([A-Z0-9_]+)=", sample("environment"), re.M))
    assert len(names) > 10
    assert not unknown(names)


def test_shell_reads_the_environment_file() -> None:
    script = f'set -aeu; . "{SAMPLES}/environment"; echo "$LIMITS_PER_KEY"; env'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "20000/hour,100 GB/day,500 jobs"
    assert "MEDIAGATE_GATE=media:gate" in done.stdout.splitlines()
    assert done.stderr == ""
