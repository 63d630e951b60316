"""examples/deploy/kubernetes.yaml: valid by the schemas of Kubernetes, and its numbers agree with the settings."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mediagate import Settings
from mediagate.api.readiness import PATIENCE_S
from mediagate.kernel.departure import CLOSING_S
from tests.support.deploy_samples import sample
from tests.support.pages import PAGES
from tests.support.server import ROOT
from tests.support.variables import unknown

VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The oldest version that the page promises, and the newest whose schemas are installed."""
TEXT = sample("kubernetes.yaml")
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all(TEXT))
NAMES = [f"{each['kind']} {each['metadata']['name']}" for each in MANIFESTS]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
MIB = 1024 * 1024
UNITS = {"Mi": MIB, "Gi": 1024 * MIB}


def manifest(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in MANIFESTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def default(setting: str) -> Any:
    return Settings.model_fields[setting].default


def in_bytes(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


CONFIG: dict[str, str] = manifest("ConfigMap", "mediagate")["data"]
WEB, WORKER = (manifest("Deployment", f"mediagate-{part}")["spec"] for part in ("web", "worker"))
(JOB,) = [each["spec"] for each in MANIFESTS if each["kind"] == "Job"]
PODS = {part: spec["template"]["spec"] for part, spec in (("web", WEB), ("worker", WORKER), ("migrate", JOB))}
ON_PODS = pytest.mark.parametrize("part", PODS)
SERVED = pytest.mark.parametrize("part", ["web", "worker"])


def container(part: str) -> dict[str, Any]:
    (found,) = PODS[part]["containers"]
    return dict(found)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", range(len(MANIFESTS)), ids=NAMES)
def test_manifest_is_valid(number: int, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[number], version, strict=True)


def test_validation_refuses_an_unknown_field() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(manifest("Deployment", "mediagate-web")))
    wrong["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@SERVED
def test_grace_period_is_longer_than_everything_before_the_end(part: str) -> None:
    words = container(part)["args"]
    delay_s = int(words[words.index("--drain-delay") + 1]) if "--drain-delay" in words else 0
    before = container(part).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
    assert before[0] == "sleep"
    drain_s = float(CONFIG["MEDIAGATE_DRAIN_TIMEOUT_S"])
    assert PODS[part]["terminationGracePeriodSeconds"] > int(before[1]) + delay_s + drain_s + CLOSING_S


def test_worker_has_memory_for_its_image_processes() -> None:
    env = {each["name"]: each["value"] for each in container("worker")["env"]}
    count = int(env["MEDIAGATE_IMAGE_PROCESSES"])
    resources = container("worker")["resources"]
    assert in_bytes(resources["limits"]["memory"]) >= count * default("image_memory_bytes") + 1024 * MIB
    assert int(resources["requests"]["cpu"]) == count


@SERVED
def test_probes_ask_the_health_routes_of_their_process(part: str) -> None:
    found = container(part)
    mount = "/image-pipeline" if part == "web" else ""
    (port,) = found["ports"]
    expected = 8000 if part == "web" else int(found["args"][found["args"].index("--port") + 1])
    assert port["containerPort"] == expected
    asked = {probe: found[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert {probe: each["path"] for probe, each in asked.items()} == {
        "startup": f"{mount}/healthz",
        "liveness": f"{mount}/healthz",
        "readiness": f"{mount}/readyz",
    }
    assert {found[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")} == {
        port["name"]
    }
    assert found["readinessProbe"]["timeoutSeconds"] > PATIENCE_S


@ON_PODS
def test_pods_run_confined(part: str) -> None:
    pod, inside = PODS[part]["securityContext"], container(part)["securityContext"]
    assert pod["runAsNonRoot"] and pod["seccompProfile"] == {"type": "RuntimeDefault"}
    (uid,) = re.findall(r"useradd .*--uid (\d+)", DOCKERFILE)
    assert pod["runAsUser"] == pod["fsGroup"] == int(uid)
    assert inside["readOnlyRootFilesystem"] and inside["capabilities"] == {"drop": ["ALL"]}
    assert inside["allowPrivilegeEscalation"] is False
    assert PODS[part]["automountServiceAccountToken"] is False


@ON_PODS
def test_pods_write_to_empty_folders_only(part: str) -> None:
    mounts = {each["name"]: each["mountPath"] for each in container(part)["volumeMounts"]}
    assert set(mounts.values()) == {"/tmp", *re.findall(r"MEDIAGATE_DATA_DIR=(\S+)", DOCKERFILE)}
    assert {each["name"] for each in PODS[part]["volumes"] if "emptyDir" in each} == set(mounts)


def test_web_spool_has_room_for_all_concurrent_uploads() -> None:
    (data,) = [each for each in PODS["web"]["volumes"] if each["name"] == "data"]
    assert in_bytes(data["emptyDir"]["sizeLimit"]) > default("max_uploads") * 20 * MIB


def test_selectors_find_their_pods() -> None:
    labels = {part: spec["template"]["metadata"]["labels"] for part, spec in (("web", WEB), ("worker", WORKER))}
    assert manifest("Service", "mediagate")["spec"]["selector"] == labels["web"]
    for part, spec in (("web", WEB), ("worker", WORKER)):
        assert spec["selector"]["matchLabels"] == labels[part]
        budget = manifest("PodDisruptionBudget", f"mediagate-{part}")["spec"]
        assert budget["selector"]["matchLabels"] == labels[part]
        assert budget["maxUnavailable"] < spec["replicas"]
    assert JOB["template"]["metadata"]["labels"] not in labels.values()
    (port,) = manifest("Service", "mediagate")["spec"]["ports"]
    assert port["targetPort"] == container("web")["ports"][0]["name"]


def test_variables_are_read_by_the_service() -> None:
    (listed,) = re.findall(r"^# secrets.env: (.*)\.$", TEXT, re.M)
    secrets = set(listed.split(", "))
    assert not unknown(set(CONFIG) | secrets)
    assert not secrets & set(CONFIG)
    assert {"MEDIAGATE_DATABASE_URL", "METRICS_TOKEN", "AWS_SECRET_ACCESS_KEY"} <= secrets
    assert {"WEBHOOK_URL", "WEBHOOK_SECRETS"} <= secrets
    for part in PODS:
        references = container(part)["envFrom"]
        assert references == [{"configMapRef": {"name": "mediagate"}}, {"secretRef": {"name": "mediagate"}}]


def test_gate_is_the_one_that_the_dockerfile_adds_to_the_image() -> None:
    (added,) = re.findall(r"^#   ENV MEDIAGATE_GATE=(\S+)$", DOCKERFILE, re.M)
    assert CONFIG["MEDIAGATE_GATE"] == added


def test_samples_show_how_to_name_another_s3_server() -> None:
    for name in ("kubernetes.yaml", "environment"):
        assert re.search(r"^ *# ?S3_ENDPOINT_URL[:=]", sample(name), re.M), name


def test_commands_of_the_page_name_the_namespace() -> None:
    commands = re.findall(r"kubectl .*", PAGES["docs/how-to/kubernetes.md"])
    assert len(commands) >= 4
    assert [
        words for words in commands if "--namespace mediagate" not in words and "create namespace" not in words
    ] == []


@ON_PODS
def test_cli_accepts_the_commands(part: str) -> None:
    found = container(part)
    if part == "migrate":
        commands = [words.split()[1:] for words in found["command"][-1].split(" && ")]
    else:
        commands = [found["args"]]
    for words in commands:
        command = [sys.executable, "-m", "mediagate.cli", *words, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


def test_job_is_named_after_the_release_of_its_image() -> None:
    tags = set(re.findall(r"image: \S+:(\S+)", TEXT))
    assert len(tags) == 1
    assert manifest("Job", f"mediagate-migrate-{tags.pop().replace('.', '-')}")
