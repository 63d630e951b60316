"""A gate as production runs it: PostgreSQL, an S3 bucket and a queue, for web processes and workers on many machines.

    mediagate migrate
    mediagate serve examples.production_gate:gate --no-worker
    mediagate worker examples.production_gate:gate

Everything that differs between machines comes from the environment: ``MEDIAGATE_DATABASE_URL`` and the rest of
mediagate's settings, boto3's own ``AWS_*``, and ``S3_BUCKET``, ``S3_ENDPOINT_URL``, ``QUEUE``, ``BROKER_URL`` below.
"""

import os

from mediagate import MediaGate, Source
from mediagate_plugins.nudenet import nudenet
from mediagate_plugins.s3_storage import s3_storage

gate = MediaGate(
    sources={
        "avatar": Source(reject={"explicit": 0.5}),
        "photo": Source(reject={"explicit": 0.9}, original="delete"),
    }
)
gate.register(nudenet)
gate.register(
    s3_storage,
    bucket=os.environ.get("S3_BUCKET", "media"),
    endpoint_url=os.environ.get("S3_ENDPOINT_URL"),
    public_url=os.environ.get("S3_PUBLIC_URL"),
)
match os.environ.get("QUEUE", "procrastinate"):
    case "procrastinate":
        from mediagate_plugins.procrastinate_queue import procrastinate_queue

        gate.register(procrastinate_queue)
    case "celery":
        from mediagate_plugins.celery_queue import celery_queue

        gate.register(celery_queue, broker=os.environ["BROKER_URL"])
    case "none":
        pass  # workers ask the database every second
    case other:
        raise SystemExit(f"QUEUE={other}: use procrastinate, celery or none")
