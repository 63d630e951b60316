"""Landlock: the kernel restricts a process to files that were named beforehand.

Source: ``Documentation/userspace-api/landlock.rst`` and ``include/uapi/linux/landlock.h`` of Linux. The version of the
interface determines the possible restrictions: 1 files, 2 links across folders, 3 truncation, 4 TCP, 5 ioctl on
devices, 6 signals and abstract sockets.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from mediagate.images.sandbox.reading import Readable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of the system calls, the same on all machines."""
_CREATE_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _IOCTL_DEV = 1 << 1, 1 << 2, 1 << 3, 1 << 15
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: _IOCTL_DEV}
"""Rights on files by the version that introduced them."""
_NET_RIGHTS = 0b11
"""``BIND_TCP`` and ``CONNECT_TCP``, from version 4 on."""
_SCOPES = 0b11
"""``ABSTRACT_UNIX_SOCKET`` and ``SIGNAL``, from version 6 on."""


def version(libc: ctypes.CDLL) -> int:
    """Return the version of the kernel's Landlock, 0 if it is missing or switched off."""
    return max(0, int(libc.syscall(_CREATE, None, 0, _CREATE_VERSION)))


def restrict(libc: ctypes.CDLL, readable: Iterable[Readable]) -> int:
    """Restrict this thread and its later ones permanently to reading these paths, without writes and without TCP.

    Returns the version in force, 0 if there is none. ``no_new_privs`` must have been set. Devices are also writable.
    """
    holds = version(libc)
    if not holds:
        return 0
    files = sum(rights for since, rights in _FILE_RIGHTS.items() if since <= holds)
    attributes = struct.pack("=QQQ", files, _NET_RIGHTS, _SCOPES)[: 8 if holds < 4 else 16 if holds < 6 else 24]
    rules = libc.syscall(_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return 0
    try:
        for path in readable:
            _allow(libc, rules, path, files)
        return holds if libc.syscall(_RESTRICT, rules, 0) == 0 else 0
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, readable: Readable, files: int) -> None:
    try:
        descriptor = os.open(readable.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a missing path needs no rule
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            rights = _READ_DIR if readable.names_only else _READ_FILE | _READ_DIR
        elif stat.S_ISCHR(mode):
            rights = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
        else:
            rights = _READ_FILE
        rule = struct.pack("=Qi", rights & files, descriptor)
        libc.syscall(_ADD, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
