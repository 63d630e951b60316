"""compose.yaml, the Dockerfile and their gate agree with the code. No test needs Docker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediagate import Settings
from tests.support.variables import GATE, OF_SERVE, OF_THE_COMMAND, read_by_the_gate

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "mediagate"}
PASSWORDS = {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}


def told() -> list[list[str]]:
    """Return the words after `mediagate` in the commands that deploy.md and the gate's docstring name."""
    text = (ROOT / "docs" / "how-to" / "deploy.md").read_text() + GATE.split('"""')[1]
    lines = re.findall(r"^    (?:docker compose exec web )?mediagate (.*?)(?: +#.*)?$", text, re.M)
    return [line.split() for line in lines]


def environment() -> dict[str, str]:
    """Return the environment of our services in compose.yaml, with its defaults."""
    found = COMPOSE["x-mediagate"]["environment"]
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in found.items() if value is not None}


def commands() -> list[list[str]]:
    """Return the words after `mediagate` wherever a container runs it."""
    found: list[list[str]] = []
    for service in OURS.values():
        words = service.get("command", [])
        if "entrypoint" not in service:
            found.append(words)
        else:
            found += [line.split() for line in re.findall(r"\bmediagate ([a-z ]+)", "\n".join(words))]
    shown = re.findall(r"exec web mediagate ([\w -]+?)(?:  |$)", (ROOT / "compose.yaml").read_text(), re.M)
    found += [line.split() for line in shown]
    found += [re.findall(r"\w+", line) for line in re.findall(r"^CMD \[(.*)\]$", DOCKERFILE, re.M)]
    return found


def test_compose_builds_the_image_in_one_service_only() -> None:
    builders = [name for name, service in OURS.items() if "build" in service]
    assert builders == ["migrate"]
    assert {service["pull_policy"] for name, service in OURS.items() if name not in builders} == {"never"}


@pytest.mark.parametrize("words", [*commands(), *told()], ids=" ".join)
def test_cli_accepts_the_documented_command(words: list[str]) -> None:
    command = [sys.executable, "-m", "mediagate.cli", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr


def test_documented_commands_are_found() -> None:
    first = [words[0] for words in commands()]
    assert sorted(first) == ["keys", "migrate", "procrastinate", "serve", "serve", "worker"]
    assert {"migrate", "procrastinate", "doctor", "keys", "serve", "worker", "webhooks"} <= {w[0] for w in told()}


def test_compose_variables_are_settings_or_read_by_the_gate() -> None:
    names = set(COMPOSE["x-mediagate"]["environment"]) | set(re.findall(r"\b([A-Z_]{3,})=", _env_lines()))
    ours = {name for name in names if name.startswith("MEDIAGATE_")}
    assert {name.removeprefix("MEDIAGATE_").lower() for name in ours - OF_THE_COMMAND} <= set(Settings.model_fields)
    theirs = {name for name in names - ours if not name.startswith(("AWS_", "PYTHON"))} - {"PATH"} - OF_SERVE
    assert theirs <= read_by_the_gate()


def test_production_gate_docstring_lists_the_variables_that_it_reads() -> None:
    doc = GATE.split('"""')[1]
    assert read_by_the_gate() == {
        name
        for name in re.findall(r"``([A-Z0-9_]+)``", doc)
        if not name.startswith("MEDIAGATE") and name not in OF_SERVE
    }


def test_production_page_exports_known_variables_only() -> None:
    lines = re.findall(r"^    export (.*?)(?: +#.*)?$", (ROOT / "docs" / "how-to" / "deploy.md").read_text(), re.M)
    names = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", "\n".join(lines)))
    assert len(names) > 10
    ours = {name.removeprefix("MEDIAGATE_").lower() for name in names - OF_THE_COMMAND if name.startswith("MEDIAGATE_")}
    assert ours <= set(Settings.model_fields)
    theirs = {name for name in names if not name.startswith(("MEDIAGATE_", "AWS_"))}
    assert theirs <= read_by_the_gate() | OF_SERVE


def _env_lines() -> str:
    return "\n".join(re.findall(r"^ENV (.*)$", DOCKERFILE, re.M))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"QUEUE": "celery"},
        {
            "QUEUE": "none",
            "TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1",
            "WEBHOOK_URL": "https://hooks.invalid/mediagate",
            "WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        },
        {"MODERATION": "off"},
        {"MEDIAGATE_MODERATION": "off"},
        {
            "WEBHOOK_URL": "http://10.1.2.3:9000/mediagate",
            "WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "WEBHOOK_INSECURE_HTTP": "true",
            "WEBHOOK_PRIVATE_NETWORKS": "10.0.0.0/8, 192.168.0.0/16",
        },
    ],
    ids=["procrastinate", "celery", "webhooks", "unmoderated", "setting", "private"],
)
def test_production_gate_loads(more: dict[str, str]) -> None:
    done = loaded(more)
    assert done.returncode == 0, done.stderr
    assert "photo" in done.stdout


def loaded(more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Load the gate as a command does, and print its moderation, thresholds and sources."""
    env = {**os.environ, **environment(), **more}
    code = (
        "import sys; from mediagate.cli import load_gate; gate = load_gate(sys.argv[1]); "
        "print(gate.settings.moderation, *(source.reject for source in gate.sources.values()), *gate.sources)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, env["MEDIAGATE_GATE"]],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"WEBHOOK_URL": "http://10.1.2.3/x", "WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "https://"),
        ({"MODERATION": "sometimes"}, "use on or off"),
        ({"WEBHOOK_URL": "https://a.invalid", "WEBHOOK_INSECURE_HTTP": "maybe"}, "use true or false"),
    ],
    ids=["http webhook", "moderation", "insecure http"],
)
def test_production_gate_reports_invalid_variables(more: dict[str, str], said: str) -> None:
    done = loaded(more)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "more", [{"MODERATION": "off"}, {"MEDIAGATE_MODERATION": "off"}], ids=["variable of the gate", "setting"]
)
def test_production_gate_without_moderation_has_no_thresholds(more: dict[str, str]) -> None:
    assert "off {} {}" in loaded(more).stdout
    assert "on {'explicit': 0.5}" in loaded({}).stdout


def test_compose_health_checks_use_the_ports_of_the_processes() -> None:
    urls = {}
    for name in ("web", "worker"):
        code = SERVICES[name]["healthcheck"]["test"][-1]
        compile(code, name, "exec")
        urls[name] = re.search(r'"(http[^"]+)"', code)
    assert urls["web"] and urls["web"][1] == "http://127.0.0.1:8000/image-pipeline/readyz"
    assert "PORT=8000" in _env_lines()
    words = SERVICES["worker"]["command"]
    assert urls["worker"] and urls["worker"][1] == f"http://127.0.0.1:{words[words.index('--port') + 1]}/readyz"


def test_compose_publishes_ports_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_compose_restricts_the_characters_of_passwords_in_urls() -> None:
    in_urls = {
        name
        for value in COMPOSE["x-mediagate"]["environment"].values()
        for name in re.findall(r"://\w+:\$\{(\w+)", value or "")
    }
    assert in_urls == PASSWORDS
    assert "letters and digits only" in (ROOT / "compose.yaml").read_text()


def test_compose_services_have_health_checks_and_bounded_logs() -> None:
    for name, service in SERVICES.items():
        assert service["logging"]["options"]["max-size"], name
        if service["restart"] == "on-failure":
            assert service["healthcheck"] == {"disable": True}, name
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_own_services_run_read_only_and_without_capabilities() -> None:
    for name, service in OURS.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["tmpfs"] == ["/tmp"] and service["mem_limit"] and service["pids_limit"], name
    assert "MEDIAGATE_DATA_DIR=/data" in _env_lines()
    assert re.search(r"^VOLUME /data$", DOCKERFILE, re.M)
