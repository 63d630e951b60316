"""A gate that logs all it can, with secrets wherever some could be; what it logs must hold none of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mediagate import CALLBACKS, MODERATOR, STORAGE, Job, MediaGate, Settings, Source
from mediagate.errors import StorageUnavailable
from mediagate.storage import FilesystemStorage
from mediagate_plugins.metrics import metrics
from tests.support.moderators import Scripted

logging.getLogger().setLevel(logging.DEBUG)
SIGNED = "https://key:s3-secret-key@bucket.s3.example/{key}?X-Amz-Credential=AKIA0SIGNED&X-Amz-Signature=5ec7e7516"


class SignedStorage(FilesystemStorage):
    """Answers signed URLs; its first writes for ``broken`` fail as those of a client that names the URL."""

    failures = 5

    def url(self, key: str) -> str | None:
        return SIGNED.format(key=key)

    async def put(self, key: str, body: bytes | Path) -> None:
        if "/broken/" in key and self.failures:
            self.failures -= 1
            try:
                raise OSError(f"403 for PUT {SIGNED.format(key=key)} with Authorization: Bearer s3-session-token")
            except OSError as exc:
                raise StorageUnavailable("the bucket does not answer") from exc
        await super().put(key, body)


async def fail(job: Job) -> None:
    if job.source_type == "faulty":
        raise RuntimeError(
            f"GET {SIGNED.format(key='hook')} failed, headers Basic dXNlcjpzZWNyZXQ= Bearer s3-session-token"
        )


settings = Settings()
gate = MediaGate(
    sources={name: Source(reject={"explicit": 0.9}) for name in ("avatar", "broken", "faulty")}, settings=settings
)
gate.decorate(CALLBACKS, True)
gate.decorate(MODERATOR, Scripted())
gate.decorate(STORAGE, SignedStorage(Path(settings.data_dir) / "files"))
gate.register(metrics, token=os.environ.get("METRICS_TOKEN"))
gate.add_hook("pre_process", fail)
