"""What code that has taken over an image process might do: every way out that it could try.

Image processes import this module, so pytest has its folder on the path.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import socket
import stat
import struct
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

from mediagate.moderation import Picture
from mediagate.values import Verdict

THREADS = 4
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
SYS_SHMGET, SYS_BPF, SYS_IO_URING_SETUP, SYS_PIDFD_OPEN, SYS_OPENAT2, SYS_ADD_KEY = (
    (29, 321, 425, 434, 437, 248) if os.uname().machine == "x86_64" else (194, 280, 425, 434, 437, 217)
)

SYS_PWRITEV = 296 if os.uname().machine == "x86_64" else 70
FS_IOC_RESVSP64 = 0x4030582A
DESCRIPTORS = 4096
"""Above how many none is looked for: the kernel gives the lowest that is free."""


@dataclass(frozen=True)
class Targets:
    """What is worth reaching: the host, a sibling, and a host's files and servers."""

    host: int
    sibling: int
    secret_file: str
    public_folder: str
    tcp_port: int
    unix_socket: str
    environment_secret: str


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _called(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _syscall(number: int, *arguments: Any) -> None:
    _called(_libc().syscall(number, *arguments))


def _ptrace(pid: int) -> None:
    libc = _libc()
    _called(libc.ptrace(PTRACE_ATTACH, pid, None, None))
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, None, None)


def _peek(pid: int) -> None:
    """Read a byte of another process's memory, where it has the program that it runs."""
    with Path(f"/proc/{pid}/maps").open() as maps:
        start = int(maps.readline().partition("-")[0], 16)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(start)
        memory.read(1)


def _vm_readv(pid: int) -> None:
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 0)  # reads nothing, and asks for the right to
    _called(_libc().process_vm_readv(pid, local, 1, local, 1, 0))


def _fork() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _spawn() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)


def _tcp(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), 2).close()


def _unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)


def _udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.sendto(b"x", ("127.0.0.1", 9))


def _openat2(path: str) -> None:
    how = (ctypes.c_uint64 * 3)(0, 0, 0)
    _syscall(SYS_OPENAT2, -100, path.encode(), how, 24)


def _pair() -> None:
    for end in socket.socketpair():
        end.close()


def _temporary_file() -> None:
    path = Path(f"/tmp/hostile-{os.getpid()}-{os.urandom(4).hex()}")
    path.touch()
    path.unlink()


def _shm() -> None:
    _syscall(SYS_SHMGET, 0, 4096, 0o1600)


def _owner(pid: int) -> None:
    """Have the kernel signal another process whenever something can be read here."""
    ours, theirs = os.pipe()
    try:
        fcntl.fcntl(ours, fcntl.F_SETOWN, pid)
    finally:
        os.close(ours)
        os.close(theirs)


def _append_no_more() -> None:
    fcntl.fcntl(2, fcntl.F_SETFL, fcntl.fcntl(2, fcntl.F_GETFL) & ~os.O_APPEND)


def _pwritev() -> None:
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(b"x")), 1)
    _syscall(SYS_PWRITEV, 2, vector, 1, 0, 0)


def _reserve() -> None:
    """Take room on the disk as XFS once did, which every file system understands now."""
    fcntl.ioctl(2, FS_IOC_RESVSP64, struct.pack("hhqqiI16x", 0, 0, 0, 1 << 20, 0, 0))


def _splice() -> None:
    """Move a byte from a pipe to the beginning of the log, which has to be open without ``O_APPEND``."""
    ours, theirs = os.pipe()
    try:
        os.write(theirs, b"x")
        os.splice(ours, 2, 1, offset_dst=0)
    finally:
        os.close(ours)
        os.close(theirs)


def _sendfile() -> None:
    with Path(__file__).open("rb") as file:
        os.sendfile(2, file.fileno(), 0, 1)


def _peer() -> None:
    """Ask a socket who is at its other end, as which the kernel also gives a handle of it."""
    libc, told, length = _libc(), ctypes.create_string_buffer(12), ctypes.c_int(12)
    with contextlib.ExitStack() as opened:
        ends = [number for number in _descriptors() if stat.S_ISSOCK(os.fstat(number).st_mode)]
        if not ends:
            ends = [opened.enter_context(end).fileno() for end in socket.socketpair()]
        _called(libc.getsockopt(ends[0], socket.SOL_SOCKET, socket.SO_PEERCRED, told, ctypes.byref(length)))


def _find(secret: str) -> None:
    """Look for a secret in the environment, as Python and as the kernel has it."""
    if secret in json.dumps(dict(os.environ)) or secret.encode() in Path("/proc/self/environ").read_bytes():
        return
    raise OSError("there is none")


def _descriptors() -> list[int]:
    """Return what is open here, by trying: the list in /proc is shut."""
    found = []
    for number in range(DESCRIPTORS):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


def unexpected_descriptors() -> list[str]:
    """Return what is open here besides standard error, /dev/null, a pipe, the file of the cores and some in /proc.

    Those are about this process, and nothing but their path is open.
    """
    own = {f"/proc/{os.getpid()}/{name}": 1 for name in ("maps", "statm", "status")}
    expected = {"socket": 1, "/memfd:mediagate-cores": 1, "/dev/null": 1, **own}
    found: dict[str, int] = {}
    for number in _descriptors():
        if number in (1, 2):
            continue
        link = str(Path(f"/proc/self/fd/{number}").readlink())
        kind = "socket" if link.startswith("socket:") else link.removesuffix(" (deleted)")
        found[kind] = found.get(kind, 0) + 1
    return [kind for kind, times in found.items() if times > expected.get(kind, 0)]


def ways_out(targets: Targets) -> Mapping[str, Callable[[], object]]:
    """Return every attempt by name; one that does not raise has reached something."""
    secret, public = Path(targets.secret_file), Path(targets.public_folder)
    return {
        "environment of its own": lambda: _find(targets.environment_secret),
        "environment of the host": lambda: Path(f"/proc/{targets.host}/environ").read_bytes(),
        "environment of a sibling": lambda: Path(f"/proc/{targets.sibling}/environ").read_bytes(),
        "memory of the host": lambda: _peek(targets.host),
        "memory of a sibling": lambda: _peek(targets.sibling),
        "descriptors of the host": lambda: [*Path(f"/proc/{targets.host}/fd").iterdir()],
        "reading the memory of the host": lambda: _vm_readv(targets.host),
        "tracing the host": lambda: _ptrace(targets.host),
        "tracing a sibling": lambda: _ptrace(targets.sibling),
        "signalling the host": lambda: os.kill(targets.host, 0),
        "signalling a sibling": lambda: os.kill(targets.sibling, 0),
        "signalling everybody": lambda: os.kill(-1, 0),
        "signals by way of a pipe": lambda: _owner(targets.host),
        "handle of the host": lambda: _syscall(SYS_PIDFD_OPEN, targets.host, 0),
        "limits of the host": lambda: resource.prlimit(targets.host, resource.RLIMIT_NOFILE),
        "priority of the host": lambda: os.setpriority(os.PRIO_PROCESS, targets.host, 5),
        "a private file": secret.read_bytes,
        "a private file, by another call": lambda: _openat2(str(secret)),
        "a private file, through /proc": lambda: Path(f"/proc/self/root{secret}").read_bytes(),
        "the mode of a private file": lambda: secret.chmod(0o600),
        "the times of a private file": lambda: os.utime(secret),
        "the system's users": lambda: Path("/etc/passwd").read_bytes(),
        "a public file": lambda: (public / "page.html").write_text("hello"),
        "a folder among the public files": lambda: (public / "folder").mkdir(exist_ok=True),
        "a link among the public files": lambda: os.link(secret, public / f"link{os.getpid()}-{os.urandom(4).hex()}"),
        "a temporary file": _temporary_file,
        "the flags of the log": _append_no_more,
        "the flags of the log, by another call": lambda: os.set_blocking(2, False),
        "the beginning of the log": lambda: os.pwrite(2, b"x", 0),
        "the beginning of the log, by another call": _pwritev,
        "the beginning of the log, by a third call": lambda: os.pwritev(2, [b"x"], 0, os.RWF_HIPRI),
        "the beginning of the log, from a pipe": _splice,
        "the log, from a file": _sendfile,
        "the length of the log": lambda: os.ftruncate(2, 1),
        "room on the disk of the log": lambda: os.posix_fallocate(2, 0, 1 << 20),
        "room on the disk of the log, by another call": _reserve,
        "memory beside its limit": lambda: os.close(os.memfd_create("hostile")),
        "who is at the other end": _peer,
        "connections of the host": Path("/proc/self/net/tcp").read_bytes,
        "Unix sockets of the host": Path("/proc/self/net/unix").read_bytes,
        "what the host has mounted": Path("/proc/self/mountinfo").read_bytes,
        "TCP": lambda: _tcp(targets.tcp_port),
        "a Unix socket": lambda: _unix(targets.unix_socket),
        "UDP": _udp,
        "a pair of sockets": _pair,
        "a process": _fork,
        "a program": _spawn,
        "shared memory": _shm,
        "BPF": lambda: _syscall(SYS_BPF, 0, None, 0),
        "io_uring": lambda: _syscall(SYS_IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "the keyring": lambda: _syscall(SYS_ADD_KEY, b"user", b"hostile", b"x", 1, -2),
        "another user": lambda: os.setresuid(65534, 65534, 65534),
    }


def reached(targets: Targets) -> list[str]:
    """Try every way out; return the names of those that worked."""
    found = []
    for name, attempt in ways_out(targets).items():
        try:
            attempt()
        except (OSError, PermissionError):
            continue
        found.append(name)
    return found


def reached_from_threads(targets: Targets) -> list[str]:
    """Try every way out in the main thread and in several others that all run at once."""
    together = Barrier(THREADS)

    def attempts() -> list[str]:
        together.wait()
        return reached(targets)

    with ThreadPoolExecutor(THREADS) as threads:
        tried = [threads.submit(attempts) for _ in range(THREADS)]
        return [*reached(targets), *(name for one in tried for name in one.result())]


@dataclass(frozen=True)
class Hostile:
    """Tries every way out while it is made, prepared and asked, and tells as its reason what it reached."""

    targets: Targets
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["early"] = [*unexpected_descriptors(), *reached(self.targets)]

    def prepare(self) -> None:
        Thread(target=Event().wait, daemon=True).start()  # as libraries do that are loaded for a model
        self.__dict__["early"] += reached_from_threads(self.targets)

    def judge(self, picture: Picture) -> Verdict:
        told = [*self.__dict__["early"], *reached_from_threads(self.targets)]
        return Verdict("reject", reason=json.dumps(sorted(set(told))))


@dataclass(frozen=True)
class Library:
    """Loads a library whose constructor tries to get out, and tells as its reason what that reached."""

    path: str
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def reads(self) -> tuple[str]:
        return (self.path,)

    def prepare(self) -> None:
        self.__dict__["reached"] = ctypes.CDLL(self.path).reached()

    def judge(self, picture: Picture) -> Verdict:
        return Verdict("reject", reason=str(self.__dict__["reached"]))


@dataclass(frozen=True)
class Reader:
    """Tells as its reason which files below a folder it can read."""

    folder: str
    labels: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def prepare(self) -> None: ...

    def judge(self, picture: Picture) -> Verdict:
        names = []
        for path in sorted(Path(self.folder).rglob("*")):
            try:
                path.read_bytes()
            except OSError:
                continue
            names.append(str(path.relative_to(self.folder)))
        return Verdict("reject", reason=json.dumps(names))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(reached(Targets(**json.loads(sys.argv[1])))))
