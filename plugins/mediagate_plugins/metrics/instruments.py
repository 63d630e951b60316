"""All metrics, in the default registry of prometheus_client. Labels have few values and never contain an id."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WAITS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
KIB, MIB = 1024, 1024 * 1024
SIZES = (16 * KIB, 64 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB)

JOBS = Counter("mediagate_jobs", "Jobs that ended, by source type and final status.", ["source", "status"])
JOB_SECONDS = Histogram(
    "mediagate_job_seconds", "From the accepted upload to the end of its job.", ["source"], buckets=WAITS
)
STAGE_SECONDS = Histogram(
    "mediagate_stage_seconds",
    "Time in each stage of a job; queue is the wait for a worker, and stages of the image process run concurrently.",
    ["stage"],
    buckets=(*SECONDS, 60.0, 300.0, 1800.0),
)
UPLOAD_BYTES = Histogram("mediagate_upload_bytes", "Size of accepted files.", ["source"], buckets=SIZES)
UPLOAD_SECONDS = Histogram(
    "mediagate_upload_seconds", "From the head of an upload's request to its answer, also if refused.", buckets=SECONDS
)
VERDICTS = Counter("mediagate_verdicts", "Verdicts of moderation.", ["source", "decision"])
FLAGS = Counter("mediagate_verdict_flags", "Labels and groups that reached a threshold.", ["source", "label"])
REJUDGED = Counter("mediagate_rejudgements", "Published pictures judged again, by outcome.", ["source", "outcome"])
STORAGE_SECONDS = Histogram("mediagate_storage_seconds", "Calls of the storage.", ["operation"], buckets=SECONDS)
STORAGE_ERRORS = Counter("mediagate_storage_errors", "Calls of the storage that failed.", ["operation"])
IMAGE_PROCESS_ENDS = Counter(
    "mediagate_image_process_ends",
    "Image processes that were replaced: crashed or timeout during an image, idle without one, start if that failed.",
    ["reason"],
)
IMAGE_CPU = Counter("mediagate_image_cpu_seconds", "CPU time of the image processes for judged pictures.", ["source"])
STATUS_ANSWERS = Counter("mediagate_status_answers", "Reads of a job's status, by origin of the answer.", ["origin"])
ERROR_ANSWERS = Counter("mediagate_error_answers", "Requests that were answered with an error.", ["code"])
DELIVERIES = Counter(
    "mediagate_webhook_attempts", "Attempts to deliver events, by endpoint and outcome.", ["endpoint", "outcome"]
)
RUNNING = Gauge("mediagate_jobs_running", "Running jobs.", multiprocess_mode="livesum")
WORKERS = Gauge("mediagate_workers", "Processes with a worker.", multiprocess_mode="livesum")
