"""The sandbox without a process: the seccomp filter of both machines, and the readable paths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import pytest

from mediagate.images.sandbox import Walls, readable
from mediagate.images.sandbox.seccomp import Instruction, program
from mediagate.images.sandbox.syscalls import LAST, Machine, denied, limited

PID = 4242
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
THREAD, PROCESS = 0x003D0F00, 0x01200011
"""The flags of ``clone`` with which glibc starts a thread, and with which it forks."""
NEEDED = {
    "x86_64": {"read": 0, "write": 1, "mmap": 9, "recvmsg": 47, "exit_group": 231, "futex": 202, "getrandom": 318},
    "aarch64": {"read": 63, "write": 64, "mmap": 222, "recvmsg": 212, "exit_group": 94, "futex": 98, "getrandom": 278},
}
CHANGING = {
    "x86_64": {
        "ftruncate": 77,
        "truncate": 76,
        "fallocate": 285,
        "pwrite64": 18,
        "pwritev": 296,
        "pwritev2": 328,
        "splice": 275,
        "copy_file_range": 326,
        "sendfile": 40,
    },
    "aarch64": {
        "ftruncate": 46,
        "truncate": 45,
        "fallocate": 47,
        "pwrite64": 68,
        "pwritev": 70,
        "pwritev2": 287,
        "splice": 76,
        "copy_file_range": 285,
        "sendfile": 71,
    },
}
"""Calls that change a file other than by appending."""
F_SETFL, F_SETPIPE_SZ = 4, 1031
LOCKS = (5, 6, 7)
"""``F_GETLK``, ``F_SETLK``, ``F_SETLKW``: the locks by which cores are borrowed."""


def _iow(kind: int, number: int, size: int, *, both: bool = False) -> int:
    """``_IOW`` and ``_IOWR`` of include/uapi/asm-generic/ioctl.h."""
    return (3 if both else 1) << 30 | size << 16 | kind << 8 | number


IOCTLS = {
    "FIONBIO": 0x5421,
    "FIOASYNC": 0x5452,
    **{f"space {number}": _iow(ord("X"), number, 48) for number in (40, 41, 42, 43, 57)},
    "FICLONE": _iow(0x94, 9, 4),
    "FICLONERANGE": _iow(0x94, 13, 32),
    "FIDEDUPERANGE": _iow(0x94, 54, 24, both=True),
    "FS_IOC_SETFLAGS": _iow(ord("f"), 2, 8),
    "FS_IOC_SETVERSION": _iow(ord("v"), 2, 8),
    "FS_IOC_FSSETXATTR": _iow(ord("X"), 32, 28),
}
machines = pytest.mark.parametrize("machine", get_args(Machine))


def decided(made: list[Instruction], data: dict[int, int]) -> int:
    """Run a filter as the kernel does (Documentation/networking/filter.rst); ``data`` is ``seccomp_data`` by offset."""
    at = loaded = 0
    while True:
        code, so, otherwise, operand = made[at]
        at += 1
        match code:
            case 0x20:
                loaded = data[operand]
            case 0x06:
                return operand
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[code]
                at += so if holds else otherwise
            case _:
                raise AssertionError(f"no such instruction: {code:#x}")


def call(machine: Machine, number: int, *arguments: int, may_open_to_write: bool = True, architecture: int = 0) -> int:
    data = {0: number, 4: architecture or ARCHITECTURES[machine]}
    data |= {16 + 8 * n: (arguments[n] if n < len(arguments) else 0) & 0xFFFFFFFF for n in range(6)}
    return decided(program(machine, PID, may_open_to_write=may_open_to_write), data)


@machines
def test_seccomp_refuses_denied_calls_and_allows_needed_ones(machine: Machine) -> None:
    assert len(set(denied(machine))) == len(denied(machine)) > 100
    assert not set(denied(machine)) & set(limited(machine).values())
    assert {call(machine, number) for number in denied(machine)} == {REFUSE}
    assert {call(machine, number) for number in NEEDED[machine].values()} == {ALLOW}
    assert {call(machine, number) for number in range(LAST + 1, LAST + 50)} == {UNKNOWN}


@machines
def test_seccomp_allows_limited_calls_by_their_arguments(machine: Machine) -> None:
    calls = limited(machine)
    assert call(machine, calls["clone"], THREAD) == ALLOW
    assert call(machine, calls["clone"], PROCESS) == REFUSE
    assert call(machine, calls["clone3"]) == call(machine, calls["openat2"]) == UNKNOWN
    for name in ("kill", "tgkill"):
        assert [call(machine, calls[name], pid) for pid in (PID, 1, -1, 0, PID + 1)] == [ALLOW, *[REFUSE] * 4]
    assert [call(machine, calls["prlimit64"], pid) for pid in (0, PID, 1)] == [ALLOW, ALLOW, REFUSE]
    assert [call(machine, calls["setpriority"], which, who) for which, who in ((0, 0), (0, 1), (2, 0))] == [
        ALLOW,
        REFUSE,
        REFUSE,
    ]
    assert [call(machine, calls["fcntl"], 3, command) for command in (3, 6, 8, 10, 15)] == [ALLOW] * 2 + [REFUSE] * 3
    assert {call(machine, calls["fcntl"], 3, command) for command in LOCKS} == {ALLOW}
    assert [call(machine, calls["ioctl"], 2, command) for command in (0x5401, 0x5412, 0x8901)] == [
        ALLOW,
        REFUSE,
        REFUSE,
    ]
    assert [call(machine, calls["prctl"], option) for option in (15, 1, 4)] == [ALLOW, REFUSE, REFUSE]


@machines
def test_seccomp_refuses_calls_that_rewrite_an_open_file(machine: Machine) -> None:
    refused, calls = set(denied(machine)), limited(machine)
    assert set(CHANGING[machine].values()) <= refused
    assert {call(machine, calls["fcntl"], 2, command) for command in (F_SETFL, F_SETPIPE_SZ)} == {REFUSE}
    assert {name for name, command in IOCTLS.items() if call(machine, calls["ioctl"], 2, command) != REFUSE} == set()


@machines
def test_seccomp_without_landlock_refuses_open_for_writing(machine: Machine) -> None:
    opening = limited(machine)["openat"]
    for flags in (1, 2, 0o101, 0o1001):
        assert call(machine, opening, -100, 0, flags) == ALLOW
        assert call(machine, opening, -100, 0, flags, may_open_to_write=False) == REFUSE
    assert call(machine, opening, -100, 0, 0o2000000, may_open_to_write=False) == ALLOW


@machines
def test_seccomp_kills_calls_of_other_architectures(machine: Machine) -> None:
    assert call(machine, 0, architecture=0x40000003) == KILL, "i386"
    if machine == "x86_64":
        assert call(machine, 0x40000000 + 41) == KILL, "x32"


def test_readable_excludes_a_private_folder_inside_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "package" / "data"
    private.mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "beside").mkdir()
    (private / "url_secret").touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    whole = {Path(one.path) for one in readable([tmp_path / "package"], [private]) if not one.names_only}
    assert {tmp_path / "package" / "__init__.py", tmp_path / "package" / "beside"} <= whole
    assert not any(private.is_relative_to(path) or path.is_relative_to(private) for path in whole)
    assert not any(Path("/etc/passwd").is_relative_to(path) for path in whole)
    assert not any(Path("/root/.ssh").is_relative_to(path) or Path("/home/x").is_relative_to(path) for path in whole)


def test_readable_includes_targets_of_links_in_a_library_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, library = tmp_path / "cache" / "torch", tmp_path / "venv" / "site-packages"
    kept.mkdir(parents=True)
    library.mkdir(parents=True)
    (library / "torch").symlink_to(kept)
    monkeypatch.setattr(sys, "path", [str(library)])
    assert {str(kept), str(library)} <= {one.path for one in readable([], []) if not one.names_only}


def test_walls_are_described_in_one_line() -> None:
    assert str(Walls(memory=True, landlock=4, seccomp=True, network=False)) == (
        "memory, time, Landlock 4, seccomp, no network"
    )
    bare = Walls(missing="Landlock, which this kernel lacks or has switched off")
    assert str(bare) == "time (missing: Landlock, which this kernel lacks or has switched off)"
