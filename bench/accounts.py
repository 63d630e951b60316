"""What processes hold and have used, read from ``/proc``: memory, CPU time, open files, connections."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024


@dataclass(frozen=True, slots=True)
class Account:
    """One process: megabytes, seconds and counts."""

    resident_mb: float
    share_mb: float
    """Proportional: a page that several processes share is divided among them. 0 where only root may read it."""
    peak_mb: float
    """Of resident memory, since the process began."""
    cpu_s: float
    """Its own, and that of children that have ended."""
    files: int


def account(pid: int) -> Account | None:
    """Return the account of a process, ``None`` if it has ended."""
    folder = Path(f"/proc/{pid}")
    try:
        status = (folder / "status").read_text()
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        files = len(list((folder / "fd").iterdir()))
    except OSError:
        return None
    if "VmRSS" not in status:
        return None
    share = ""
    with suppress(OSError):
        share = (folder / "smaps_rollup").read_text()
    cpu_s = sum(map(int, fields[11:15])) / TICKS  # utime, stime, cutime, cstime
    return Account(_mb(status, "VmRSS"), _mb(share, "Pss"), _mb(status, "VmHWM"), cpu_s, files)


def _mb(text: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.M)
    return int(found[1]) * KIB / 1e6 if found else 0.0


def connections(pids: Iterable[int], port: int) -> int:
    """Return how many TCP connections over IPv4 to a port of this machine these processes have open."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    to_port = {f"socket:[{words[9]}]" for words in lines if int(words[2].partition(":")[2], 16) == port}
    found: set[str] = set()
    for pid in pids:
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    found.add(str(descriptor.readlink()))
    return len(found & to_port)


def machine() -> Mapping[str, str]:
    """Return a line about each part of this machine that figures depend on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    return {
        "processor": f"{len(os.sched_getaffinity(0))} cores, {model[1] if model else os.uname().machine}",
        "memory": f"{memory} GB",
        "kernel": os.uname().release.partition("-")[0],
    }
