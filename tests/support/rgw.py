"""A real S3 server on loopback: Ceph's gateway (radosgw) with one monitor and one store that keeps objects in memory.

``python -m tests.support.rgw`` runs one until Ctrl-C and prints how to reach it. It needs the Debian packages ceph-mon,
ceph-osd, ceph-mgr, radosgw and ceph-common; nothing of it outlives its directory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.support.ports import free_port

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
PACKAGES = "ceph-mon ceph-osd ceph-mgr radosgw ceph-common"
ATTEMPTS = 3
"""Ports that were free may be taken by another program before the gateway has them."""
START_S = 180.0
"""It takes some 13 s; this long on a machine that has much else to do."""

CONF = """
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = [v2:127.0.0.1:{mon_port}]
public_network = 127.0.0.0/8
public_addr = 127.0.0.1
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
keyring = {folder}/keyring
run_dir = {folder}
log_file = {folder}/$name.log
admin_socket = {folder}/$name.asok
crash_dir = {folder}
[mon]
mon_data = {folder}/mon
mon_cluster_log_file = {folder}/cluster.log
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_memory_target = 939524096
osd_client_watch_timeout = 2
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_thread_pool_size = 32
rgw_dns_name = localhost
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
rgw_override_bucket_index_max_shards = 0
"""


def missing() -> str | None:
    """Return what to install before a gateway can run here, ``None`` when nothing is missing."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(absent)}: apt-get install --no-install-recommends {PACKAGES}" if absent else None


class Gateway:
    """A cluster in ``folder``, reached at ``url`` with ``access_key`` and ``secret_key``."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.access_key = secrets.token_hex(10).upper()
        self.secret_key = secrets.token_hex(20)
        self._folder = folder
        self._conf = folder / "ceph.conf"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Make the cluster, start it, and make a user; raises ``RuntimeError`` with the end of the logs."""
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        mon_port = free_port()
        for name in ("mon", "osd"):
            (self._folder / name).mkdir()
        self._conf.write_text(CONF.format(fsid=fsid, folder=self._folder, mon_port=mon_port, port=self.port))
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        every = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "client.rgw", "osd.0"):
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *every)
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{mon_port}]", monmap)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self._spawn("ceph-mon", "-i", "a")
        self._run("ceph", "osd", "new", osd, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0")
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=localhost", "root=default")
        self.start_gateway()
        user = ["--uid", "tests", "--display-name", "tests"]
        keys = ["--access-key", self.access_key, "--secret-key", self.secret_key]
        self._run("radosgw-admin", "user", "create", *user, *keys)

    def add_key(self) -> dict[str, str]:
        """Give the user another access key; returns it as options of the plugin."""
        key = {"access_key_id": secrets.token_hex(10).upper(), "secret_access_key": secrets.token_hex(20)}
        words = ["--access-key", key["access_key_id"], "--secret-key", key["secret_access_key"]]
        self._run("radosgw-admin", "key", "create", "--uid", "tests", "--key-type", "s3", *words)
        return key

    def remove_key(self, key: dict[str, str]) -> None:
        """Remove an access key of the user."""
        words = ["--key-type", "s3", "--access-key", key["access_key_id"]]
        self._run("radosgw-admin", "key", "rm", "--uid", "tests", *words)

    def start_gateway(self) -> None:
        """Start the gateway alone, and wait until it answers."""
        self._spawn("radosgw", "-n", "client.rgw")
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._daemons["radosgw"].poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url, timeout=5) as answer:
                if answer.headers["x-amz-request-id"]:  # another program may have been faster to take the port
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the gateway did not start:\n{self._logs()}")

    @property
    def pid(self) -> int | None:
        """The id of the gateway's process, while there is one."""
        gateway = self._daemons.get("radosgw")
        return gateway.pid if gateway is not None and gateway.poll() is None else None

    def kill_gateway(self) -> None:
        """Kill -9 the gateway; its objects stay where they are."""
        self._daemons["radosgw"].kill()
        self._daemons["radosgw"].wait(30)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the gateway (SIGSTOP) for the length of a block: it takes connections and never answers."""
        gateway = self._daemons["radosgw"]
        gateway.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            gateway.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill what was started, the last first."""
        for daemon in reversed(self._daemons.values()):
            daemon.kill()
        for daemon in self._daemons.values():
            daemon.wait(30)

    def _run(self, program: str, *arguments: str) -> None:
        words = [program, "-c", str(self._conf), *arguments] if program in _CONFIGURED else [program, *arguments]
        done = subprocess.run(words, env=self._environment(), capture_output=True, timeout=START_S, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace")[-2000:]
            raise RuntimeError(f"{program} failed ({done.returncode}):\n{said}\n{self._logs()}")

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.out").open("ab") as out:
            self._daemons[program] = subprocess.Popen(
                [program, "-f", "-c", str(self._conf), *arguments],
                env=self._environment(), stdout=out, stderr=out, cwd=self._folder, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CEPH_CONF": str(self._conf)}

    def _logs(self) -> str:
        files = [*self._folder.glob("*.out"), *self._folder.glob("*.log")]
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-800:]}" for file in files)


_CONFIGURED = ("ceph", "ceph-mon", "ceph-osd", "radosgw-admin")


@contextlib.contextmanager
def running_gateway(port: int | None = None) -> Iterator[Gateway]:
    """Run a gateway for the length of a block, in a directory that goes with it."""
    with contextlib.ExitStack() as stack:
        for attempt in range(ATTEMPTS):
            # Not below pytest's directories: the path of a Unix socket may have 107 characters.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True))
            gateway = Gateway(Path(folder), port)
            stack.callback(gateway.stop)
            try:
                gateway.start()
                break
            except RuntimeError:
                if port is not None or attempt + 1 == ATTEMPTS:
                    raise
        yield gateway


def main() -> None:
    """Run a gateway until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Run a Ceph S3 gateway on loopback until Ctrl-C.")
    parser.add_argument("--port", type=int, help="port to listen on; a free one unless given")
    port = parser.parse_args().port
    if problem := missing():
        sys.exit(problem)
    waited_for = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    with running_gateway(port) as gateway:
        told = {"MEDIAGATE_TEST_S3_URL": gateway.url}
        told |= {"AWS_ACCESS_KEY_ID": gateway.access_key, "AWS_SECRET_ACCESS_KEY": gateway.secret_key}
        sys.stdout.write("".join(f"export {name}={value}\n" for name, value in told.items()))
        sys.stdout.flush()
        signal.sigwait(waited_for)


if __name__ == "__main__":
    main()
