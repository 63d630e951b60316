"""Secrets appear in no log, error or repr, whatever the host's logging level."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from mediagate.errors import MediagateError
from mediagate_plugins.s3_storage.options import Options

pytestmark = pytest.mark.anyio

KEY = "media/avatar/user-1/med_1/sm.webp"
TOKEN = "session-token-nobody-may-see"


@pytest.mark.parametrize("right", [True, False])
async def test_s3_storage_logs_and_raises_no_secret(
    right: bool, storage_of: Any, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    secret = server.secret_key if right else "wrong-secret-nobody-may-see"
    caplog.set_level(logging.DEBUG)
    async with storage_of(secret_access_key=secret, session_token=None if right else TOKEN) as storage:
        raised = []
        for attempt in (
            storage.put(KEY, b"x"),
            storage.put(KEY, bytes(9_000_000)),
            storage.get(KEY),
            storage.delete([KEY, "media/other"]),
        ):
            try:
                await attempt
            except MediagateError as exc:
                raised += [str(exc), repr(exc), repr(exc.__cause__), repr(exc.__suppress_context__)]
        read = storage.presign_get(KEY, signed_at=datetime.now(UTC), expires_s=60)
        write = await storage.presign_put(KEY, content_type="image/png", size=1, expires_s=60)
        shown = [repr(storage), repr(storage.options), repr(storage.connection.signer), repr(read), repr(write)]
    assert bool(raised) is not right
    told = "\n".join([*raised, *shown, caplog.text])
    for hidden in (secret, TOKEN, "X-Amz-Signature", "AWS4-HMAC", "StringToSign"):
        assert hidden not in told


def test_connection_keeps_the_hosts_log_level_of_botocore() -> None:
    from mediagate_plugins.s3_storage.connection import Connection

    logging.getLogger("botocore").setLevel(logging.ERROR)
    try:
        options = Options(bucket="media", endpoint_url="http://127.0.0.1:9", access_key_id="k", secret_access_key="s")
        Connection(options).close()
        assert logging.getLogger("botocore").level == logging.ERROR
    finally:
        logging.getLogger("botocore").setLevel(logging.NOTSET)
