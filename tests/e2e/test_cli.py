"""The command line with real parts: separate serve and worker, migrate, doctor, janitor, retry."""

from __future__ import annotations

import asyncio
import platform
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from mediagate import JobStatus, MediaGate, Settings, Source
from mediagate.records import Settlement
from tests.support import loopback
from tests.support.command import mediagate
from tests.support.server import Server, running


@pytest.fixture
def postgres_url(own_postgres_url: str) -> str:
    """A database of its own, because the commands need an empty one."""
    return own_postgres_url


def test_doctor_reports_ok_for_each_part(tmp_path: Path) -> None:
    done = mediagate("doctor", "face_gate:gate", data_dir=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    assert [[line[:4].strip(), line[6:22].strip()] for line in lines] == [
        ["ok", part] for part in ("query engine", "database", "storage", "model", "codecs", "image processes")
    ]
    assert "jpeg" in lines[-2]
    for library in ("libjpeg", "zlib", "libwebp 1.", "libavif 1.", "libheif 1."):
        assert library in lines[-2]
    assert lines[-1].endswith("memory, time, Landlock 7, seccomp, no network") or "missing" in lines[-1]


def test_doctor_and_version_print_release_python_and_kernel(tmp_path: Path) -> None:
    expected = f"mediagate {version('mediagate')}, Python {platform.python_version()}, {platform.system()} "
    done = mediagate("--version", data_dir=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(expected) and len(done.stdout.splitlines()) == 1
    for name in ("plain_gate:gate", "nowhere:gate"):
        assert mediagate("doctor", name, data_dir=tmp_path).stdout.startswith(done.stdout)


def test_doctor_fails_without_printing_the_password(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file where the folder should be")
    done = mediagate(
        "doctor", "plain_gate:gate", data_dir=tmp_path, MEDIAGATE_DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/x"
    )
    assert done.returncode == 1
    assert "FAIL" in done.stdout
    assert "geheim" not in done.stdout + done.stderr


def test_commands_report_a_missing_schema_without_creating_it(tmp_path: Path) -> None:
    env = {"MEDIAGATE_DATABASE_URL": f"file:{tmp_path / 'records.db'}"}
    for _ in range(2):
        done = mediagate("doctor", "plain_gate:gate", data_dir=tmp_path / "data", **env)
        assert done.returncode == 1
        assert "FAIL  database" in done.stdout
        assert "run `mediagate migrate`" in done.stdout
        assert not (tmp_path / "records.db").exists()
    for command in ("serve", "worker"):
        done = mediagate(command, "plain_gate:gate", "--port", "18999", data_dir=tmp_path / "data", **env)
        assert done.returncode == 1, command
        assert "Traceback" not in done.stderr
        assert "run `mediagate migrate`" in done.stderr
    assert mediagate("migrate", data_dir=tmp_path / "data", **env).returncode == 0
    assert mediagate("doctor", "plain_gate:gate", data_dir=tmp_path / "data", **env).returncode == 0


def test_doctor_does_not_create_the_default_database_file(tmp_path: Path) -> None:
    done = mediagate("doctor", "plain_gate:gate", data_dir=tmp_path)
    assert (done.returncode, "or open the gate" in done.stdout) == (0, True), done.stdout + done.stderr
    assert not list(tmp_path.glob("*.db*"))


def test_doctor_names_address_and_setting_of_an_unreachable_database(tmp_path: Path) -> None:
    done = mediagate(
        "doctor", "plain_gate:gate", data_dir=tmp_path, MEDIAGATE_DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/x"
    )
    assert done.returncode == 1
    assert "FAIL  database        cannot reach PostgreSQL at 127.0.0.1:1 (it refuses connections)" in done.stdout
    assert "MEDIAGATE_DATABASE_URL" in done.stdout
    assert "geheim" not in done.stdout + done.stderr


def test_serve_reports_all_invalid_settings_at_once(tmp_path: Path) -> None:
    done = mediagate(
        "serve", "plain_gate:gate", data_dir=tmp_path, MEDIAGATE_MAX_ATTEMPTS="0", MEDIAGATE_LEASE_S="soon"
    )
    assert done.returncode == 1
    assert "MEDIAGATE_MAX_ATTEMPTS: " in done.stderr
    assert "MEDIAGATE_LEASE_S: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [("mysql://u:geheim@db/x", "must start with file: or postgresql://"), ("postgresql://u:ge/heim@db/x", "%2F")],
)
def test_doctor_names_the_setting_of_an_invalid_database_url(tmp_path: Path, url: str, said: str) -> None:
    done = mediagate("doctor", "plain_gate:gate", data_dir=tmp_path, MEDIAGATE_DATABASE_URL=url)
    assert done.returncode == 1
    assert "MEDIAGATE_DATABASE_URL: " in done.stdout and said in done.stdout
    assert "heim" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["migrate", "doctor"])
def test_commands_warn_about_a_misspelled_setting(tmp_path: Path, command: str) -> None:
    words = [command] if command == "migrate" else [command, "plain_gate:gate"]
    done = mediagate(*words, data_dir=tmp_path, MEDIAGATE_LEASES_S="5", MEDIAGATE_PORT_8000_TCP="tcp://10.0.0.1")
    assert done.returncode == 0
    assert "MEDIAGATE_LEASES_S is not a setting; did you mean MEDIAGATE_LEASE_S?" in done.stderr
    assert "MEDIAGATE_PORT" not in done.stderr


def test_serve_explains_module_attribute_for_an_unloadable_gate(tmp_path: Path) -> None:
    done = mediagate("serve", "nowhere:gate", data_dir=tmp_path)
    assert done.returncode == 1
    assert "module:attribute" in done.stderr


def test_janitor_dry_run_changes_nothing(tmp_path: Path) -> None:
    orphan = tmp_path / "files" / "media" / "avatar" / "u1" / "med_x" / "xs.webp"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"left over")
    env = {"MEDIAGATE_ORPHAN_GRACE_S": "0"}
    dry = mediagate("janitor", "plain_gate:gate", "--dry-run", data_dir=tmp_path, **env)
    assert "would remove media/avatar/u1/med_x/xs.webp" in dry.stdout, dry.stdout + dry.stderr
    assert orphan.exists()
    real = mediagate("janitor", "plain_gate:gate", data_dir=tmp_path, **env)
    assert "removed media/avatar/u1/med_x/xs.webp" in real.stdout
    assert not orphan.exists()


def test_separate_worker_completes_an_upload_on_postgresql(postgres_url: str, tmp_path: Path, photo: bytes) -> None:
    data_dir = tmp_path / "data"
    env = {"MEDIAGATE_DATABASE_URL": postgres_url}
    first = mediagate("migrate", data_dir=data_dir, **env)
    assert "applied" in first.stdout, first.stdout + first.stderr
    assert "already up to date" in mediagate("migrate", data_dir=data_dir, **env).stdout

    with running("plain_gate:gate", data_dir, **env, MEDIAGATE_WORKER="false") as web:
        job_id = web.upload("a.jpg", photo).json()["jobId"]
        assert loopback.get(f"{web.url}/status/{job_id}?wait=1", timeout=30).json()["status"] == "PENDING"
        worker = Server("plain_gate:gate", data_dir, **env)
        try:
            worker.start(command="worker")
            assert web.settled(job_id).json()["status"] == "COMPLETE"
        finally:
            assert worker.stop() == 0


def test_retry_requeues_failed_jobs_by_code_or_id(tmp_path: Path, photo: bytes) -> None:
    settings = Settings(data_dir=tmp_path, migrate=True, worker=False, image_processes=1)
    gate = MediaGate(sources={"avatar": Source()}, settings=settings, moderation="off")
    ids: dict[str, str] = {}

    async def fail() -> None:
        async with gate:
            records = gate.parts.records
            for code, retryable in (("storage_unavailable", True), ("image_crashed", True), ("image_too_large", False)):
                job_id = (await gate.upload(photo, source_type="avatar", source_id="u1")).job_id
                now = await records.now()
                job = await records.claim(job_id, owner="w", now=now, lease_until=now + timedelta(seconds=9))
                assert job is not None
                end = Settlement(JobStatus.FAILED, error="no", code=code, retryable=retryable)
                assert await records.settle(job, owner="w", now=now, settlement=end)
                ids[code] = job_id

    async def statuses() -> list[JobStatus]:
        async with gate:
            return [(await gate.get_status(job_id)).status for job_id in ids.values()]

    asyncio.run(fail())
    done = mediagate("retry", "plain_gate:gate", "--code", "storage_unavailable", data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{ids['storage_unavailable']}: queued for a retry\n"), done.stderr
    assert asyncio.run(statuses()) == [JobStatus.PENDING, JobStatus.FAILED, JobStatus.FAILED]
    named = ("--job", ids["image_crashed"], "--job", ids["storage_unavailable"], "--job", "job_x")
    done = mediagate("retry", "plain_gate:gate", *named, data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (1, f"{ids['image_crashed']}: queued for a retry\n")
    assert "is PENDING; only a FAILED job can be retried" in done.stderr
    assert "job_x" in done.stderr
    assert mediagate("retry", "plain_gate:gate", data_dir=tmp_path).returncode == 1
