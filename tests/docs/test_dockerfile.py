"""The Dockerfile agrees with the code and the files that it copies. No test needs Docker."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.requirements import needed

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def sent_to_docker(path: str) -> bool:
    """Return whether .dockerignore admits a path: the last pattern that matches it or a parent folder decides."""
    names = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 2)]
    passes = True
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.removeprefix("!")
        patterns = {pattern, pattern.removeprefix("**/")}
        tails = [name.rpartition("/")[2] for name in names] if pattern.startswith("**/") else []
        if any(fnmatch.fnmatchcase(name, each) for each in patterns for name in [*names, *tails]):
            passes = line.startswith("!")
    return passes


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M)
    return [source for line in lines for source in line.split()[:-1]]


def pinned() -> dict[str, list[str]]:
    """Return the versions that constraints.txt pins, by name; check that each pin has hashes."""
    found: dict[str, list[str]] = {}
    for pin in re.split(r"\n(?=\S)", (ROOT / "constraints.txt").read_text()):
        if pin.startswith("#"):
            continue
        requirement = Requirement(pin.partition("\\")[0].strip())
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", pin
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", pin), pin
        found.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return found


def printed(asked: str) -> set[Requirement]:
    command = [sys.executable, str(ROOT / "image_requirements.py"), asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return {Requirement(line) for line in done.stdout.splitlines()}


def test_dockerfile_copies_the_code_after_installing_dependencies() -> None:
    before = DOCKERFILE.partition("FROM dependencies AS build")[0]
    assert re.findall(r"^COPY (.*) \./$", before, re.M) == ["pyproject.toml constraints.txt image_requirements.py"]
    copied_last = re.findall(r"^COPY --from=(\w+)", DOCKERFILE, re.M)
    assert copied_last == ["dependencies", "build"], "two layers: the dependencies, then the code"


def test_dockerfile_installs_packages_with_hashes_only() -> None:
    installs = re.findall(r"bin/pip (?:install|wheel) (.*?)(?: \\)?$", DOCKERFILE, re.M)
    assert len(installs) == 6
    assert all("--require-hashes" in options or "--no-deps" in options for options in installs)


def test_constraints_pin_all_extras_and_the_build() -> None:
    versions = pinned()
    for requirement in printed("all,node,nudenet,ocr,tesseract") | printed("--build"):
        ours = versions.get(canonicalize_name(requirement.name), [])
        assert ours, f"{requirement}: run `make constraints`"
        assert all(requirement.specifier.contains(version) for version in ours), (
            f"{requirement}: run `make constraints`"
        )
    assert "://" not in (ROOT / "constraints.txt").read_text(), "constraints must not depend on an index"


def test_constraints_pin_transitive_dependencies() -> None:
    versions, left, seen = pinned(), [("mediagate", {"all", "node", "nudenet"})], set()
    while left:
        name, extras = left.pop()
        for requirement in needed(name, extras):
            key = canonicalize_name(requirement.name), frozenset(requirement.extras)
            if key in seen:
                continue
            seen.add(key)
            assert key[0] in versions or key[0] == "mediagate", f"{requirement} of {name}: run `make constraints`"
            left.append((requirement.name, set(requirement.extras)))
    assert len(seen) > 50


@pytest.mark.parametrize(
    "extras",
    ["deno,postgres,s3,heic,fast", "nudenet", "open_nsfw", "onnx, redis", "all", "all,node,nudenet,ocr,tesseract"],
)
def test_image_has_the_dependencies_of_its_extras(extras: str) -> None:
    asked = {extra.strip() for extra in extras.split(",")}
    wanted, left = set(), [asked]
    while left:
        for requirement in needed("mediagate", left.pop()):
            if requirement.name == "mediagate":
                left.append(set(requirement.extras))
            else:
                wanted.add((requirement.name, frozenset(requirement.extras), requirement.specifier))
    assert {(one.name, frozenset(one.extras), one.specifier) for one in printed(extras)} == wanted


def test_image_requirements_fail_on_unknown_extra() -> None:
    command = [sys.executable, str(ROOT / "image_requirements.py"), "deno,postgre"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert "unknown extra postgre; choose from: deno, node, postgres," in done.stderr


def test_copied_files_exist_and_pass_dockerignore() -> None:
    assert len(copied()) > 5
    for source in copied():
        assert (ROOT / source).exists(), source
        assert sent_to_docker(source), source
    for kept_out in (
        ".git",
        "tests",
        "bench",
        ".venv",
        "service/mediagate/records/client",
        "query_engine/node_modules",
    ):
        assert not sent_to_docker(kept_out), kept_out


def test_dockerfile_copies_the_files_that_the_build_reads() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folders = {"query_engine", "service", "plugins"}
    licences = {name for name in project["license-files"] if name.partition("/")[0] not in folders}
    read = {"pyproject.toml", "hatch_build.py", "schema.prisma", project["readme"], *folders, *licences}
    assert read <= set(copied())


def test_image_health_check_uses_the_port_of_serve() -> None:
    (words,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.M)
    program, option, code = json.loads(words)
    assert (program, option) == ("python", "-c")

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/image-pipeline/readyz" else 404)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        env = {**os.environ, "PORT": str(server.server_port)}
        assert subprocess.run([sys.executable, "-c", code], env=env, check=False, timeout=30).returncode == 0
        server.shutdown()
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env=env, check=False, timeout=30, stderr=subprocess.DEVNULL
        ).returncode
        != 0
    )


def test_image_extras_are_a_build_argument() -> None:
    assert "ARG EXTRAS=all" in DOCKERFILE
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert compose["services"]["migrate"]["build"]["args"] == {"EXTRAS": "${EXTRAS:-all}"}
    (named,) = re.findall(r"--build-arg EXTRAS=([\w,]+)", DOCKERFILE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert named.split(",") == ["all", "nudenet"]
    assert set(named.split(",")) <= set(extras)


def test_derived_image_runs_its_own_gate_with_three_lines(tmp_path: Path) -> None:
    """The documented lines are replayed in a folder: the files of /app and a module next to them."""
    lines = re.findall(r"^#   ((?:FROM|COPY|ENV) .*)$", DOCKERFILE, re.M)
    assert len(lines) == 3
    source, target = lines[1].split()[1:]
    (workdir,) = re.findall(r"^WORKDIR (/app)$", DOCKERFILE, re.M)
    assert (lines[0], target.rstrip("/")) == ("FROM mediagate", workdir)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    own = 'from mediagate import MediaGate, Source\n\ngate = MediaGate(sources={"own": Source()}, moderation="off")\n'
    (tmp_path / source).write_text(own)
    name, gate = lines[2].removeprefix("ENV ").split("=")
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli", "doctor"],
        env={**os.environ, name: gate, "MEDIAGATE_DATA_DIR": str(tmp_path / "data")}, cwd=tmp_path,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "moderation is off" in done.stdout
