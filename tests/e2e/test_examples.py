"""The examples run: an uploaded picture is shown where each example promises it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest
import yaml

from tests.support import loopback
from tests.support.command import output_of
from tests.support.ports import free_port
from tests.support.rgw import Gateway

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("app", "source_type", "own_route"),
    [
        ("examples.starlette_app:app", "avatar", "/users/u1"),
        ("examples.fastapi_app:app", "post", "/posts/u1/pictures"),
    ],
)
def test_example_host_shows_an_uploaded_picture(
    app: str, source_type: str, own_route: str, tmp_path: Path, data: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "MEDIAGATE_DATA_DIR": str(tmp_path), "MEDIAGATE_IMAGE_PROCESSES": "1"}
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", app, "--port", str(port)], cwd=ROOT, env=env, stdout=log, stderr=log
    )
    try:
        for _ in range(200):
            try:
                if loopback.get(f"{url}/image-pipeline/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        picture = (data / "moderation" / "chelsea.png").read_bytes()
        form = {"sourceType": source_type, "sourceId": "u1"}
        sent = loopback.post(f"{url}/image-pipeline/upload", data=form, files={"file": ("cat.png", picture)})
        assert sent.status_code == 202, sent.text
        done = loopback.get(f"{url}{sent.json()['statusUrl']}?wait=30", timeout=60)
        assert done.status_code == 200, done.text
        for _ in range(50):
            shown = loopback.get(f"{url}{own_route}").text
            if done.json()["media"]["urls"]["sm"] in shown:
                break
            time.sleep(0.1)
        assert done.json()["media"]["urls"]["sm"] in shown
    finally:
        process.terminate()
        process.wait(30)
        log.close()


TOKEN = "a-token-for-prometheus"
PRODUCTION = {
    "MEDIAGATE_GATE": "examples.production_gate:gate",
    "MEDIAGATE_IMAGE_PROCESSES": "1",
    "S3_BUCKET": "media",
    "QUEUE": "procrastinate",
    "TRUSTED_PROXIES": "127.0.0.1",
    "LIMITS_PER_KEY": "100/hour",
    "LIMITS_PER_ADDRESS": "2/hour",
    "METRICS_TOKEN": TOKEN,
    "WEBHOOK_URL": "https://hooks.invalid/mediagate",
    "WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def until(url: str, **headers: str) -> httpx.Response:
    """Repeat a request until it is answered 200."""
    end = time.monotonic() + 60
    while True:
        try:
            answer = loopback.get(url, headers=headers, timeout=30)
            if answer.status_code == 200:
                return answer
            said = answer.text
        except httpx.TransportError as exc:
            said = str(exc)
        assert time.monotonic() < end, said
        time.sleep(0.1)


@dataclass(frozen=True)
class Production:
    """The web process and the worker of the example, on PostgreSQL and a bucket."""

    url: str
    worker_url: str
    data_dir: Path
    env: dict[str, str]
    key: str
    """An API key."""
    picture: bytes

    def upload(self, address: str, **headers: str) -> httpx.Response:
        """Upload a picture as a client with this address."""
        return loopback.post(
            f"{self.url}/upload",
            data={"sourceType": "photo", "sourceId": "u1"},
            files={"file": ("cat.png", self.picture)},
            headers=headers | {"X-Forwarded-For": address},
            timeout=60,
        )


@pytest.fixture(scope="module")
def production(
    s3_gateway: Gateway, postgres_url: str, tmp_path_factory: pytest.TempPathFactory, data: Path
) -> Iterator[Production]:
    folder, web, worker = tmp_path_factory.mktemp("production"), free_port(), free_port()
    url = f"http://127.0.0.1:{web}/image-pipeline"
    keys = {"aws_access_key_id": s3_gateway.access_key, "aws_secret_access_key": s3_gateway.secret_key}
    boto3.client("s3", endpoint_url=s3_gateway.url, region_name="us-east-1", **keys).create_bucket(Bucket="media")
    env = PRODUCTION | {
        "MEDIAGATE_DATABASE_URL": postgres_url,
        "MEDIAGATE_PUBLIC_BASE_URL": url,
        "S3_ENDPOINT_URL": s3_gateway.url,
        "S3_PUBLIC_ENDPOINT_URL": s3_gateway.url.replace("127.0.0.1", "localhost"),
        "AWS_DEFAULT_REGION": "us-east-1",
        **{name.upper(): value for name, value in keys.items()},
    }
    output_of("migrate", data_dir=folder, **env)
    output_of("procrastinate", "migrate", data_dir=folder, **env)
    key = output_of("keys", "create", "--owner", "shop", data_dir=folder, **env)
    process_env = {**os.environ, **env, "MEDIAGATE_DATA_DIR": str(folder)}
    commands = [["serve", "--no-worker", "--port", str(web)], ["worker", "--port", str(worker)]]
    processes = []
    with (folder / "log").open("wb") as log:
        for command in commands:
            words = [sys.executable, "-m", "mediagate.cli", *command]
            processes.append(subprocess.Popen(words, env=process_env, cwd=ROOT, stdout=log, stderr=log))
        try:
            until(f"{url}/readyz")
            until(f"http://127.0.0.1:{worker}/readyz")
            picture = (data / "moderation" / "chelsea.png").read_bytes()
            yield Production(url, f"http://127.0.0.1:{worker}", folder, env, key, picture)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)


@pytest.fixture(scope="module")
def job_id(production: Production) -> str:
    """The id of a completed job."""
    sent = production.upload("192.0.2.9", authorization=f"Bearer {production.key}")
    assert sent.status_code == 202, sent.text
    id_ = str(sent.json()["jobId"])
    done = until(f"{production.url}/status/{id_}?wait=60&http=200", authorization=f"Bearer {production.key}").json()
    assert done["status"] == "COMPLETE", done
    return id_


def test_production_gate_serves_the_files_of_a_completed_job(production: Production, job_id: str) -> None:
    done = loopback.get(f"{production.url}/status/{job_id}", headers={"X-API-Key": production.key}).json()
    assert loopback.get(done["media"]["urls"]["sm"]).status_code == 200


def test_production_gate_requires_a_key(production: Production, job_id: str) -> None:
    assert production.upload("192.0.2.8").status_code == 401
    assert loopback.get(f"{production.url}/status/{job_id}").status_code == 401


def test_production_gate_directs_uploads_to_the_public_endpoint(production: Production) -> None:
    declared = {"sourceType": "photo", "sourceId": "u1", "contentType": "image/png", "size": 1000}
    target = loopback.post(f"{production.url}/uploads", json=declared, headers={"X-API-Key": production.key}).json()
    assert target["url"].startswith(production.env["S3_PUBLIC_ENDPOINT_URL"])


def test_production_gate_limits_accepted_uploads_per_address(production: Production) -> None:
    authorized = {"authorization": f"Bearer {production.key}"}
    assert production.upload("192.0.2.1").status_code == 401
    answers = [production.upload("192.0.2.1", **authorized) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert production.upload("192.0.2.2", **authorized).status_code == 202


def test_production_metrics_require_their_token(production: Production) -> None:
    assert loopback.get(f"{production.url}/metrics").status_code == 401
    headers = {"Authorization": f"Bearer {production.key}"}
    assert loopback.get(f"{production.url}/metrics", headers=headers).status_code == 401


@pytest.mark.usefixtures("job_id")
def test_production_worker_counts_completed_jobs(production: Production) -> None:
    told = until(f"{production.worker_url}/metrics", authorization=f"Bearer {TOKEN}").text
    assert 'mediagate_jobs_total{source="photo",status="COMPLETE"}' in told


def test_production_gate_records_webhook_events(production: Production, job_id: str) -> None:
    listed = output_of("webhooks", "list", data_dir=production.data_dir, **production.env)
    assert f"job.completed  {job_id}  app" in listed


def test_compose_bucket_has_cors_and_lifecycle_rules(s3_gateway: Gateway) -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["bucket"]
    keys = {"aws_access_key_id": s3_gateway.access_key, "aws_secret_access_key": s3_gateway.secret_key}
    env = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": s3_gateway.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_gateway.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "S3_ENDPOINT_URL": s3_gateway.url,
        "S3_BUCKET": "of-compose",
        "S3_UPLOAD_ORIGINS": "https://app.example.com, https://b.example.com",
    }
    command = [sys.executable, "-c", service["command"][0]]
    for _ in range(2):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    s3 = boto3.client("s3", endpoint_url=s3_gateway.url, region_name="us-east-1", **keys)
    (rule,) = s3.get_bucket_cors(Bucket="of-compose")["CORSRules"]
    assert rule["AllowedOrigins"] == ["https://app.example.com", "https://b.example.com"]
    (unfinished,) = s3.get_bucket_lifecycle_configuration(Bucket="of-compose")["Rules"]
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
