"""Files in a bucket of any server that speaks S3; ``pip install "mediagate[s3]"``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mediagate import STORAGE, MediaGate, plugin
from mediagate_plugins.s3_storage.options import Addressing, Options, RetryMode, policy_of, without_boto3

log = logging.getLogger("mediagate")


@plugin("s3_storage", provides=("STORAGE",))
async def s3_storage(
    gate: MediaGate,
    *,
    bucket: str,
    prefix: str = "",
    staging_bucket: str | None = None,
    staging_prefix: str | None = None,
    public_url: str | None = None,
    endpoint_url: str | None = None,
    public_endpoint_url: str | None = None,
    region: str | None = None,
    addressing: Addressing = "auto",
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    connect_timeout_s: float = 3.0,
    read_timeout_s: float = 10.0,
    attempts: int = 3,
    retry_mode: RetryMode = "standard",
    threads: int = 16,
    upload_origins: Sequence[str] = (),
) -> None:
    """Store all files in ``bucket``, below ``prefix``; quarantined ones in ``staging_bucket``, if given.

    ``public_url`` is the public base URL of published keys: a CDN, or the bucket's own address with the prefix. By
    default it is the gate's setting, and without that the gate serves the files. Files of private sources get signed
    URLs of the bucket, on ``public_endpoint_url`` if clients use a different address of the server than the gate.

    Without ``access_key_id`` and ``secret_access_key`` boto3 looks for credentials in its usual places: environment,
    ``~/.aws``, the machine's role. ``addressing`` puts the bucket's name into the path or the host (``"virtual"``).

    A request fails when it does not connect within ``connect_timeout_s`` or receives nothing for ``read_timeout_s``
    (seconds); it is attempted ``attempts`` times, with growing random pauses. ``threads`` limits concurrent requests.
    ``upload_origins`` are the origins of pages that upload directly to the bucket: ``mediagate doctor`` checks that the
    bucket's CORS rules allow them.

    Raises ``ConfigError`` that names every invalid option; does not contact the bucket.
    """
    options = Options(
        bucket=bucket,
        prefix=prefix,
        staging_bucket=staging_bucket,
        staging_prefix=staging_prefix,
        public_url=public_url or gate.settings.public_url,
        endpoint_url=endpoint_url,
        public_endpoint_url=public_endpoint_url,
        region=region,
        addressing=addressing,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        session_token=session_token,
        connect_timeout_s=connect_timeout_s,
        read_timeout_s=read_timeout_s,
        attempts=attempts,
        retry_mode=retry_mode,
        threads=threads,
        upload_origins=tuple(upload_origins),
        key_prefixes=gate.settings.key_prefixes,
        **policy_of(gate.sources),
    )
    try:
        from mediagate_plugins.s3_storage.checks import checks  # imported lazily: heavy, and an extra
        from mediagate_plugins.s3_storage.storage import open_storage
    except ImportError as exc:
        raise without_boto3(exc) from None
    storage = await gate.enter(open_storage(options))
    log.info("storage: %r", storage)
    gate.decorate(STORAGE, storage)
    for part, check in checks(storage).items():
        gate.add_check(part, check)
