"""A gate with the default model contacts no host and writes no file outside its data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PREPARED = """
import fcntl, socket, struct
with socket.socket() as end:  # SIOCSIFFLAGS: the loopback of a new namespace is down
    fcntl.ioctl(end, 0x8914, struct.pack("16sH14x", b"lo", 0x49))
"""
GATE = """
import asyncio, sys
from pathlib import Path
from mediagate import MediaGate, Settings, Source
from mediagate_plugins.open_nsfw import open_nsfw

async def main():
    gate = MediaGate(
        sources={"avatar": Source(reject={"explicit": 0.9})},
        settings=Settings(data_dir=Path(sys.argv[1]), image_processes=1),
    )
    gate.register(open_nsfw)
    async with gate:
        photo = Path(sys.argv[2]).read_bytes()
        job = await gate.upload(photo, source_type="avatar", source_id="1")
        print((await gate.wait(job.job_id)).status)
        await asyncio.sleep(1)

asyncio.run(main())
"""
CALLER = """
import socket
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as end:
            try:
                end.connect((address, 443))
            except OSError:
                pass
"""
COUNTED = """
for table in ("snmp6", "snmp"):
    print(open(f"/proc/net/{table}").read())
"""


def alone(program: str, *arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a network namespace that has only a loopback; the kernel's counters follow its output."""
    return subprocess.run(
        ["unshare", "--net", sys.executable, "-c", PREPARED + program + COUNTED, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )


def asked(counted: str) -> int:
    """Return how many packets were addressed to other machines, name look-ups included."""
    lines = [line.split() for line in counted.splitlines() if line]
    six = {line[0]: int(line[1]) for line in lines if line[0].startswith(("Ip6", "Udp6"))}
    four: dict[str, int] = {}
    for head, values in pairwise(lines):
        if head[0] == values[0] in ("Ip:", "Udp:") and head[1].isalpha():
            four |= {head[0] + name: int(value) for name, value in zip(head[1:], values[1:], strict=True)}
    return six["Ip6OutNoRoutes"] + six["Udp6OutDatagrams"] + four["Ip:OutNoRoutes"] + four["Udp:OutDatagrams"]


@pytest.fixture(autouse=True)
def namespaces() -> None:
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not create a network namespace")


def test_network_counters_count_each_connection_attempt() -> None:
    assert asked(alone("pass").stdout) == 0
    assert asked(alone(CALLER).stdout) >= 4


def test_gate_with_the_default_model_contacts_no_host_and_writes_only_to_its_data_dir(tmp_path: Path) -> None:
    home, temporary, data = tmp_path / "home", tmp_path / "tmp", tmp_path / "data"
    home.mkdir()
    temporary.mkdir()
    photo = ROOT / "tests" / "data" / "moderation" / "astronaut.png"
    here = tmp_path / "here"
    here.mkdir()
    done = alone(GATE, str(data), str(photo), folder=here, HOME=str(home), TMPDIR=str(temporary))
    assert done.stdout.splitlines()[0] == "COMPLETE"
    assert asked(done.stdout) == 0
    assert [path for folder in (home, temporary, here) for path in folder.rglob("*")] == []
