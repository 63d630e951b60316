"""The files of ``examples/deploy``, and how to run those of nginx here."""

from __future__ import annotations

import contextlib
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.support.hosting import until
from tests.support.ports import free_port
from tests.support.programs import program
from tests.support.server import ROOT

SAMPLES = ROOT / "examples" / "deploy"
NAME = "app.example.com"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def sample(name: str) -> str:
    return (SAMPLES / name).read_text()


def replaced(text: str, pairs: Mapping[str, str]) -> str:
    """Replace parts of a sample, each of which must be in it."""
    for old, new in pairs.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Proxy:
    """A running nginx; ``tls`` trusts its certificate."""

    url: str
    plain_url: str
    tls: ssl.SSLContext
    log: Path


def nginx_words(folder: Path, config: Path) -> list[str]:
    return [program("nginx", "nginx-light"), "-e", f"{folder}/error.log", "-p", str(folder), "-c", str(config)]


def write_nginx_sample(folder: Path, web: Sequence[int], https: int, http: int) -> Path:
    """Write the sample with the ports and folders of a test, and a certificate; return its path."""
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME, "localhost")
    certificate.private_key_pem.write_to_path(folder / f"{NAME}.key")
    certificate.cert_chain_pems[0].write_to_path(folder / f"{NAME}.crt")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    here = {
        # nginx runs as the user of the tests, who alone may read their files.
        "user www-data;": "user root;" if os.geteuid() == 0 else "",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx/": f"{folder}/",
        "/etc/nginx/tls/": f"{folder}/",
        "worker_processes auto;": "worker_processes 1;",
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        "127.0.0.1:8000": f"127.0.0.1:{web[0]}",
        "127.0.0.1:8001": f"127.0.0.1:{web[1]}",
        "\nhttp {": "\nhttp {\n" + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in TEMPORARY),
    }
    config = folder / "nginx.conf"
    config.write_text(replaced(sample("nginx.conf"), here))
    return config


@contextlib.contextmanager
def nginx(folder: Path, web: Sequence[int]) -> Iterator[Proxy]:
    """Run the sample in front of two web processes on these ports for the length of a block."""
    https, http = free_port(), free_port()
    config = write_nginx_sample(folder, web, https, http)
    words = [*nginx_words(folder, config), "-g", "daemon off;"]
    with (folder / "out").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        tls = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        until("nginx runs", lambda: (folder / "nginx.pid").exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "out").read_text()
        yield Proxy(f"https://localhost:{https}", f"http://127.0.0.1:{http}", tls, folder / "access.log")
    finally:
        process.terminate()
        process.wait(30)
        for kind in TEMPORARY:
            shutil.rmtree(folder / kind, ignore_errors=True)
