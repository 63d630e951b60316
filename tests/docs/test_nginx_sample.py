"""examples/deploy/nginx.conf: nginx accepts it, and its limits agree with those of the service."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from mediagate import Source
from mediagate.http.event_stream import ALIVE_S
from mediagate.http.jobs import MAX_WAIT_S
from tests.support.deploy_samples import nginx_words, sample, write_nginx_sample
from tests.support.ports import free_port

MIB = 1024 * 1024
FORM_BYTES = 64 * 1024
"""More than the fields around a file take."""


def value(directive: str) -> str:
    (found,) = re.findall(rf"^ *{directive} (.+?);", sample("nginx.conf"), re.M)
    return str(found)


def test_nginx_accepts_the_sample(tmp_path: Path) -> None:
    config = write_nginx_sample(tmp_path, (free_port(), free_port()), free_port(), free_port())
    done = subprocess.run([*nginx_words(tmp_path, config), "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


def test_nginx_waits_longer_than_long_polls_and_pauses_of_event_streams() -> None:
    read_s = int(value("proxy_read_timeout").removesuffix("s"))
    assert read_s > MAX_WAIT_S + 10
    assert read_s > ALIVE_S + 10


def test_nginx_accepts_bodies_of_the_default_size() -> None:
    accepted = int(value("client_max_body_size").removesuffix("m")) * MIB
    assert Source().max_bytes + FORM_BYTES <= accepted


def test_nginx_gives_up_no_server_that_restarts() -> None:
    servers = re.findall(r"^ *server (127\S+) (.*);$", sample("nginx.conf"), re.M)
    assert servers == [("127.0.0.1:8000", "max_fails=0"), ("127.0.0.1:8001", "max_fails=0")]
    assert not re.search(r"^ *keepalive ", sample("nginx.conf"), re.M)
