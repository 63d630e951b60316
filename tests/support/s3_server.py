"""The S3 server of the tests: where it is, and how to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tests.support.rgw import Gateway


@dataclass(frozen=True)
class S3Server:
    """An S3 server: its URL and our credentials, and the gateway if we started it."""

    url: str
    access_key: str
    secret_key: str
    gateway: Gateway | None = None

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def options(self) -> dict[str, Any]:
        """Options of the plugin for this server, with timeouts that suit tests."""
        return {
            "endpoint_url": self.url,
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
            "read_timeout_s": 30.0,
        }

    def client(self) -> Any:
        return _session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )


@cache
def _session() -> Any:
    """Return the session of all clients: each new one would read boto3's description of S3 again, in 80 ms."""
    return boto3.session.Session()
