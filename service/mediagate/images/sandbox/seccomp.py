"""A filter on system calls, in the kernel's classic BPF: calls that an image process never needs fail with ``EPERM``.

Source: ``Documentation/userspace-api/seccomp_filter.rst`` and ``include/uapi/linux/{seccomp,filter,audit}.h`` of Linux.
Refused calls fail instead of killing the process, since libraries try some and continue without them. Arguments are
compared by their lower 32 bits; the kernel reads only those of the arguments that are checked here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from typing import cast

from mediagate.images.sandbox.syscalls import LAST, Machine, denied, limited

_ARCHITECTURES: dict[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""``AUDIT_ARCH_X86_64`` and ``AUDIT_ARCH_AARCH64``."""
_X32 = 0x40000000
"""The bit of calls of the x32 interface, whose numbers are not in the tables here."""
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""``BPF_LD|BPF_W|BPF_ABS``, ``BPF_JMP|BPF_{JEQ,JGE,JSET}|BPF_K``, ``BPF_RET|BPF_K``."""
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_REFUSE, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
"""Offsets in ``struct seccomp_data``; each argument has eight bytes."""

_CLONE_THREAD = 0x00010000
_WRITING = 0o3 | 0o100 | 0o1000
"""``O_WRONLY | O_RDWR``, ``O_CREAT``, ``O_TRUNC``, the same on both machines."""
_FCNTL = (4, 8, 10, 15, 1024, 1026, 1031)
"""``F_SETFL`` and ``F_SETPIPE_SZ``, which change the host's standard error too; ``F_SETOWN``, ``F_SETSIG`` and
``F_SETOWN_EX``, by which the kernel signals others; ``F_SETLEASE``, ``F_NOTIFY``."""
_TERMINAL = (0x5412, 0x541C)
"""``TIOCSTI`` and ``TIOCLINUX``, which type into a terminal."""
_FLAGS = (0x5421, 0x5452, 0x8901, 0x8902)
"""``FIONBIO`` and ``FIOASYNC``, which do what ``F_SETFL`` does; ``FIOSETOWN``, ``SIOCSPGRP``."""
_SPACE = (0x40305828, 0x40305829, 0x4030582A, 0x4030582B, 0x40305839)
"""``FS_IOC_RESVSP``, ``UNRESVSP``, their ``64`` and ``ZERO_RANGE``, which do what ``fallocate`` does."""
_INODE = (0x40049409, 0x4020940D, 0xC0189436, 0x40086602, 0x40087602, 0x401C5820)
"""``FICLONE``, ``FICLONERANGE`` and ``FIDEDUPERANGE``, which write; ``FS_IOC_SETFLAGS``, ``SETVERSION`` and
``FSSETXATTR``. These and the ones above: ``include/uapi/linux/{fs,falloc}.h``."""
_IOCTL = (*_TERMINAL, *_FLAGS, *_SPACE, *_INODE)
_PRCTL = (1, 4)
"""``PR_SET_PDEATHSIG`` and ``PR_SET_DUMPABLE``, which are already set and must not be undone."""
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

Instruction = tuple[int, int, int, int]
"""Code, jump offset if true, jump offset if false, operand."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict(libc: ctypes.CDLL, *, may_open_to_write: bool) -> str | None:
    """Filter the calls of this process permanently; returns the reason if that is impossible, else ``None``.

    ``no_new_privs`` must have been set. Only the calling thread and its later ones are restricted.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        return f"there is no table of system calls for {machine}"
    instructions = program(cast(Machine, machine), os.getpid(), may_open_to_write=may_open_to_write)
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(_Program(len(instructions), packed)), 0, 0):
        return os.strerror(ctypes.get_errno())
    return None


def program(machine: Machine, pid: int, *, may_open_to_write: bool) -> list[Instruction]:
    """Return the filter for the process ``pid``."""
    calls = limited(machine)
    made: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        made += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    made += [(_AT_LEAST, 0, 1, LAST + 1), (_RETURN, 0, 0, _UNKNOWN)]
    for number in denied(machine):
        made += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    # Both read their flags from memory, which a filter cannot check: libraries fall back on the older calls.
    for name in ("clone3", "openat2"):
        made += [(_EQUAL, 0, 1, calls[name]), (_RETURN, 0, 0, _UNKNOWN)]
    made += _only_if(calls["clone"], [(0, _ANY_BIT, (_CLONE_THREAD,))])
    for name in ("kill", "tgkill"):
        made += _only_if(calls[name], [(0, _EQUAL, (pid,))])
    made += _only_if(calls["prlimit64"], [(0, _EQUAL, (0, pid))])
    made += _only_if(calls["sched_setaffinity"], [(0, _EQUAL, (0,))])
    made += _only_if(calls["setpriority"], [(0, _EQUAL, (0,)), (1, _EQUAL, (0,))])
    made += _unless(calls["fcntl"], 1, _EQUAL, _FCNTL)
    made += _unless(calls["ioctl"], 1, _EQUAL, _IOCTL)
    made += _unless(calls["prctl"], 0, _EQUAL, _PRCTL)
    if not may_open_to_write:
        made += _unless(calls["openat"], 2, _ANY_BIT, (_WRITING,))
        if "open" in calls:
            made += _unless(calls["open"], 1, _ANY_BIT, (_WRITING,))
    return [*made, (_RETURN, 0, 0, _ALLOW)]


def _only_if(number: int, tests: Sequence[tuple[int, int, Sequence[int]]]) -> list[Instruction]:
    """Allow a call if each argument matches one of its values by its comparison."""
    block: list[Instruction] = []
    for argument, comparison, values in tests:
        block.append((_LOAD, 0, 0, _ARGUMENT + 8 * argument))
        block += [(comparison, len(values) - at, 0, value) for at, value in enumerate(values)]
        block.append((_RETURN, 0, 0, _REFUSE))
    return _of(number, [*block, (_RETURN, 0, 0, _ALLOW)])


def _unless(number: int, argument: int, comparison: int, values: Sequence[int]) -> list[Instruction]:
    """Allow a call unless its argument matches one of the values by the comparison."""
    compared = [(comparison, len(values) - at, 0, value) for at, value in enumerate(values)]
    return _of(
        number,
        [
            (_LOAD, 0, 0, _ARGUMENT + 8 * argument),
            *compared,
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        ],
    )


def _of(number: int, block: list[Instruction]) -> list[Instruction]:
    """Apply a block, which ends in returns, to one call only."""
    return [(_EQUAL, 0, len(block), number), *block]
