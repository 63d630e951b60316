"""The examples run: an uploaded picture is shown where each example promises it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import httpx
import pytest
import yaml

from tests.support.rgw import Gateway, missing, running_gateway
from tests.support.server import free_port

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
                if httpx.get(f"{url}/image-pipeline/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        picture = (data / "moderation" / "chelsea.png").read_bytes()
        form = {"sourceType": source_type, "sourceId": "u1"}
        sent = httpx.post(f"{url}/image-pipeline/upload", data=form, files={"file": ("cat.png", picture)})
        assert sent.status_code == 202, sent.text
        done = httpx.get(f"{url}{sent.json()['statusUrl']}?wait=30", timeout=60)
        assert done.status_code == 200, done.text
        for _ in range(50):
            shown = httpx.get(f"{url}{own_route}").text
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


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    if problem := missing():
        pytest.skip(f"no S3 server for the test ({problem})")
    with running_gateway() as running:
        yield running


def run(*words: str, env: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "mediagate.cli", *words]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until(url: str, **headers: str) -> httpx.Response:
    """Repeat a request until it is answered 200."""
    end = time.monotonic() + 60
    while True:
        try:
            answer = httpx.get(url, headers=headers, timeout=30)
            if answer.status_code == 200:
                return answer
            said = answer.text
        except httpx.TransportError as exc:
            said = str(exc)
        assert time.monotonic() < end, said
        time.sleep(0.1)


def test_the_gate_of_a_production(gateway: Gateway, postgres_url: str, tmp_path: Path, data: Path) -> None:
    web, worker = free_port(), free_port()
    url = f"http://127.0.0.1:{web}/image-pipeline"
    keys = {"aws_access_key_id": gateway.access_key, "aws_secret_access_key": gateway.secret_key}
    boto3.client("s3", endpoint_url=gateway.url, region_name="us-east-1", **keys).create_bucket(Bucket="media")
    env = {
        **os.environ,
        **PRODUCTION,
        "MEDIAGATE_DATA_DIR": str(tmp_path),
        "MEDIAGATE_DATABASE_URL": postgres_url,
        "MEDIAGATE_PUBLIC_BASE_URL": url,
        "S3_ENDPOINT_URL": gateway.url,
        "S3_PUBLIC_ENDPOINT_URL": gateway.url.replace("127.0.0.1", "localhost"),
        "AWS_DEFAULT_REGION": "us-east-1",
        **{name.upper(): value for name, value in keys.items()},
    }
    run("migrate", env=env)
    run("procrastinate", "migrate", env=env)
    key = run("keys", "create", "--owner", "shop", env=env)
    commands = [["serve", "--no-worker", "--port", str(web)], ["worker", "--port", str(worker)]]
    processes = []
    with (tmp_path / "log").open("wb") as log:
        for command in commands:
            words = [sys.executable, "-m", "mediagate.cli", *command]
            processes.append(subprocess.Popen(words, env=env, cwd=ROOT, stdout=log, stderr=log))
        try:
            until(f"{url}/readyz")
            until(f"http://127.0.0.1:{worker}/readyz")
            form = {"sourceType": "photo", "sourceId": "u1"}
            picture = {"file": ("cat.png", (data / "moderation" / "chelsea.png").read_bytes())}

            def upload(address: str, **headers: str) -> httpx.Response:
                headers |= {"X-Forwarded-For": address}
                return httpx.post(f"{url}/upload", data=form, files=picture, headers=headers, timeout=60)

            assert upload("192.0.2.1").status_code == 401
            sent = upload("192.0.2.1", authorization=f"Bearer {key}")
            assert sent.status_code == 202, sent.text
            status = f"{url}/status/{sent.json()['jobId']}"
            assert httpx.get(status).status_code == 401
            done = until(f"{status}?wait=60&http=200", authorization=f"Bearer {key}").json()
            assert done["status"] == "COMPLETE", done
            assert httpx.get(done["media"]["urls"]["sm"]).status_code == 200

            declared = {"sourceType": "photo", "sourceId": "u1", "contentType": "image/png", "size": 1000}
            target = httpx.post(f"{url}/uploads", json=declared, headers={"X-API-Key": key}).json()
            assert target["url"].startswith(env["S3_PUBLIC_ENDPOINT_URL"])

            assert upload("192.0.2.1", authorization=f"Bearer {key}").status_code == 202
            assert upload("192.0.2.1", authorization=f"Bearer {key}").status_code == 429
            assert upload("192.0.2.2", authorization=f"Bearer {key}").status_code == 202

            assert httpx.get(f"{url}/metrics").status_code == 401
            assert httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 401
            told = until(f"http://127.0.0.1:{worker}/metrics", authorization=f"Bearer {TOKEN}").text
            assert 'mediagate_jobs_total{source="photo",status="COMPLETE"}' in told
            assert f"job.completed  {sent.json()['jobId']}  app" in run("webhooks", "list", env=env)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)


def test_compose_bucket_has_cors_and_lifecycle_rules(gateway: Gateway) -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["bucket"]
    keys = {"aws_access_key_id": gateway.access_key, "aws_secret_access_key": gateway.secret_key}
    env = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": gateway.access_key,
        "AWS_SECRET_ACCESS_KEY": gateway.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "S3_ENDPOINT_URL": gateway.url,
        "S3_BUCKET": "of-compose",
        "S3_UPLOAD_ORIGINS": "https://app.example.com, https://b.example.com",
    }
    command = [sys.executable, "-c", service["command"][0]]
    for _ in range(2):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    s3 = boto3.client("s3", endpoint_url=gateway.url, region_name="us-east-1", **keys)
    (rule,) = s3.get_bucket_cors(Bucket="of-compose")["CORSRules"]
    assert rule["AllowedOrigins"] == ["https://app.example.com", "https://b.example.com"]
    (unfinished,) = s3.get_bucket_lifecycle_configuration(Bucket="of-compose")["Rules"]
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
