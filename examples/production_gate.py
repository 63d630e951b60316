"""A gate as production runs it: PostgreSQL, an S3 bucket and a queue, for web processes and workers on many machines.

    export MEDIAGATE_GATE=examples.production_gate:gate
    mediagate migrate
    mediagate procrastinate migrate          # with QUEUE=procrastinate
    mediagate doctor
    mediagate keys create --owner shop
    mediagate serve --no-worker
    mediagate worker --port 9464

All settings come from the environment: ``MEDIAGATE_DATABASE_URL``, ``MEDIAGATE_PUBLIC_BASE_URL`` and the other settings
of mediagate, boto3's own ``AWS_*``, and these (lists are separated by commas; defaults are in parentheses):

- ``MODERATION``: ``off`` publishes every picture without moderation, as does ``MEDIAGATE_MODERATION`` (``on``),
- ``S3_BUCKET``: the bucket (``media``), ``S3_ENDPOINT_URL``: its server (AWS),
- ``S3_PUBLIC_ENDPOINT_URL``: the server as clients reach it, for direct uploads and private files (the same),
- ``S3_PUBLIC_URL``: a CDN in front of the bucket (none: the gate serves the files),
- ``S3_UPLOAD_ORIGINS``: pages that upload directly, for ``mediagate doctor`` to check (none),
- ``QUEUE``: ``procrastinate``, ``celery`` or ``none`` (``procrastinate``),
- ``QUEUE_DATABASE_URL``: Procrastinate's PostgreSQL (the records'); behind PgBouncer the server's own address,
- ``BROKER_URL``: RabbitMQ, with ``QUEUE=celery``,
- ``TRUSTED_PROXIES``: addresses and networks of load balancers whose ``X-Forwarded-For`` is trusted (none),
- ``LIMITS_PER_KEY``: limits for each API key (``20000/hour,100 GB/day,500 jobs``),
- ``LIMITS_PER_ADDRESS``: limits for each address (``600/minute``),
- ``METRICS_TOKEN``: token that ``GET /metrics`` requires as a bearer token (none: a key with the scope admin),
- ``WEBHOOK_URL``: receiver of events, https and public (none: no events are sent),
- ``WEBHOOK_SECRETS``: secrets that sign them, ``whsec_…``, the newest first,
- ``WEBHOOK_PRIVATE_NETWORKS``: private networks to which events may be sent, such as ``10.0.0.0/8`` (none),
- ``WEBHOOK_INSECURE_HTTP``: ``true`` lets ``WEBHOOK_URL`` begin with ``http://`` (``false``).

Files on disk (the spool of uploads) are in ``MEDIAGATE_DATA_DIR`` (``.mediagate``). Pages of another origin that
upload need ``CORS_ORIGINS``, which ``mediagate serve`` reads, and those that upload directly a CORS rule of the bucket.
"""

import os

from mediagate import MediaGate, Settings, Source
from mediagate_plugins.api_keys import api_keys
from mediagate_plugins.metrics import metrics
from mediagate_plugins.open_nsfw import open_nsfw
from mediagate_plugins.rate_limit import rate_limit
from mediagate_plugins.s3_storage import s3_storage


def value(name: str) -> str | None:
    """Return an environment variable, or None if it is unset or empty."""
    return os.environ.get(name) or None


def several(name: str, default: str = "") -> list[str]:
    """Return a comma-separated variable as a list."""
    return [each.strip() for each in (value(name) or default).split(",") if each.strip()]


def yes(name: str) -> bool:
    """Return a variable as a boolean."""
    match (value(name) or "false").lower():
        case "true" | "1" | "yes":
            return True
        case "false" | "0" | "no":
            return False
        case other:
            raise SystemExit(f"{name}={other}: use true or false")


settings = Settings()
moderation = value("MODERATION") or settings.moderation
if moderation not in ("on", "off"):
    raise SystemExit(f"MODERATION={moderation}: use on or off")
moderated = moderation == "on"
gate = MediaGate(
    sources={
        "avatar": Source(reject={"explicit": 0.5} if moderated else {}),
        "photo": Source(reject={"explicit": 0.8} if moderated else {}, original="delete"),
    },
    settings=settings,
    moderation="on" if moderated else "off",
)
if moderated:
    gate.register(open_nsfw)
gate.register(
    s3_storage,
    bucket=value("S3_BUCKET") or "media",
    endpoint_url=value("S3_ENDPOINT_URL"),
    public_endpoint_url=value("S3_PUBLIC_ENDPOINT_URL"),
    public_url=value("S3_PUBLIC_URL"),
    upload_origins=several("S3_UPLOAD_ORIGINS"),
)
gate.register(api_keys)
gate.register(
    rate_limit,
    per_key=several("LIMITS_PER_KEY", "20000/hour,100 GB/day,500 jobs"),
    per_address=several("LIMITS_PER_ADDRESS", "600/minute"),
    trusted_proxies=several("TRUSTED_PROXIES"),
)
gate.register(metrics, token=value("METRICS_TOKEN"))
if (url := value("WEBHOOK_URL")) is not None:
    from mediagate_plugins.webhooks import Endpoint, webhooks

    endpoint = Endpoint(
        url,
        several("WEBHOOK_SECRETS"),
        insecure_http=yes("WEBHOOK_INSECURE_HTTP"),
        private_networks=several("WEBHOOK_PRIVATE_NETWORKS"),
    )
    gate.register(webhooks, endpoints={"app": endpoint})
match value("QUEUE") or "procrastinate":
    case "procrastinate":
        from mediagate_plugins.procrastinate_queue import procrastinate_queue

        gate.register(procrastinate_queue, database_url=value("QUEUE_DATABASE_URL"))
    case "celery":
        from mediagate_plugins.celery_queue import celery_queue

        if (broker := value("BROKER_URL")) is None:
            raise SystemExit("QUEUE=celery: give RabbitMQ's address in BROKER_URL, such as amqp://user:password@host//")
        gate.register(celery_queue, broker=broker)
    case "none":
        pass  # workers ask the database every second
    case other:
        raise SystemExit(f"QUEUE={other}: use procrastinate, celery or none")
