"""One S3 client: it runs calls in its own threads, in bounded time, and translates errors into mediagate's."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from mediagate.errors import ConfigError, MediagateError, ObjectNotFound, StorageUnavailable
from mediagate_plugins.s3_storage.options import Options
from mediagate_plugins.s3_storage.signatures import Signer

SLOWEST = 256 * 1024
"""Bytes per second: a slower transfer counts as stuck."""
PROBE = "probe"
LOUD = ("botocore", "boto3", "s3transfer")
"""Loggers that at level DEBUG write session tokens, signatures, and answers that may contain a secret key."""
DENIED = frozenset({"AccessDenied", "Forbidden", "403"})
MENDING: Mapping[str, str] = {
    "NoSuchBucket": "bucket not found; create it, or name another",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is unknown to the server",
    "ExpiredToken": "the credentials have expired",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "PermanentRedirect": "the bucket is in another region; set region",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set region",
}
"""The advice for error codes whose cause the host can fix."""
SIGN_IN = (
    "give access_key_id and secret_access_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role "
    "provides them"
)
TRUST = (
    "install a certificate for the name in endpoint_url from an authority that this machine trusts, or name the "
    "authority in AWS_CA_BUNDLE"
)

_T = TypeVar("_T")
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")


class Connection:
    """A client for given options; the constructor blocks, and raises ``ConfigError`` when boto3 rejects the options."""

    def __init__(self, options: Options) -> None:
        for name in LOUD:
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.INFO))
        self._deadline_s = options.deadline_s
        try:
            session = boto3.session.Session(
                aws_access_key_id=options.access_key_id,
                aws_secret_access_key=options.secret_access_key,
                aws_session_token=options.session_token,
                region_name=options.region,
            )
            self._credentials = session.get_credentials()
            if self._credentials is None:
                raise ConfigError(f"s3_storage: credentials not found; {SIGN_IN}")
            self.client = _client(session, options, options.endpoint_url)
            outside = (
                _client(session, options, options.public_endpoint_url) if options.public_endpoint_url else self.client
            )
            buckets = {options.place(key)[0] for key in ("media/", "staging/")}
            self.addresses = {bucket: _address(outside, bucket) for bucket in buckets}
            """The URL of each bucket for clients, with a slash at the end."""
            self.region = _region(self.client, options.bucket)
            self.signer = self._sign()
            """The signer of URLs with the current credentials."""
        except (BotoCoreError, ValueError) as exc:
            raise ConfigError(f"s3_storage: boto3 cannot use these options: {type(exc).__name__}") from None
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="mediagate-s3")

    @property
    def temporary(self) -> bool:
        """Whether the credentials expire, so that ``renew`` must be called regularly."""
        return hasattr(self._credentials, "refresh_needed")

    async def renew(self) -> None:
        """Adopt boto3's current credentials; raises ``StorageUnavailable``."""
        self.signer = await self.ask("credentials", self._sign)

    async def ask(self, what: str, call: Callable[[], _T], *, size: int = 0) -> _T:
        """Run a blocking call that moves ``size`` bytes in a thread; ``what`` names it in errors.

        Raises ``ObjectNotFound`` or ``StorageUnavailable``, at the latest when all attempts must have ended, even if no
        thread became free until then.
        """
        deadline_s = self._deadline_s + size / SLOWEST
        started = self._threads.submit(call)
        try:
            async with asyncio.timeout(deadline_s):
                return await asyncio.wrap_future(started)
        except TimeoutError:
            raise StorageUnavailable(f"S3, {what}: no answer in time; try again in a moment") from None
        except (BotoCoreError, ClientError) as exc:
            # Not chained: botocore's message may contain the server's answer.
            raise told(what, exc) from None
        except asyncio.CancelledError:
            # Otherwise a write could continue after its caller was cancelled, and publish the file all the same.
            await _ended(started, deadline_s)
            raise

    def close(self) -> None:
        """Wait for the calls under way and close the connections; blocks."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    def _sign(self) -> Signer:
        frozen = self._credentials.get_frozen_credentials()
        # botocore has no public attribute for the expiry, and a URL must not outlive its credentials.
        ends: datetime | None = getattr(self._credentials, "_expiry_time", None)
        return Signer(frozen.access_key, frozen.secret_key, frozen.token, ends.astimezone(UTC) if ends else None)


async def _ended(call: Future[Any], timeout_s: float) -> None:
    """Wait until a call has ended or was cancelled before its start, and ignore its result."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    call.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await ended.wait()


def _client(session: Any, options: Options, endpoint_url: str | None) -> Any:
    client = session.client(
        "s3",
        endpoint_url=endpoint_url,
        # The default region of servers other than AWS.
        region_name=session.region_name or ("us-east-1" if endpoint_url else None),
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": options.addressing},
            connect_timeout=options.connect_timeout_s,
            read_timeout=options.read_timeout_s,
            retries={"mode": options.retry_mode, "total_max_attempts": options.attempts},
            max_pool_connections=options.threads,
            tcp_keepalive=True,
            # R2 and older servers refuse the checksums that boto3 sends by default.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    client.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
    return client


def _with_md5(request: Any, **_: object) -> None:
    """Give a batch delete the checksum that all servers support: some refuse the newer one that boto3 uses."""
    for name in [name for name in request.headers if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-"))]:
        del request.headers[name]
    del request.headers["Content-MD5"]
    digest = hashlib.md5(request.data, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _presigned_by_boto(client: Any, bucket: str) -> str:
    url: str = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": PROBE})
    return url


def _address(client: Any, bucket: str) -> str:
    """Return a bucket's URL by boto3's rules for endpoints and addressing."""
    return _presigned_by_boto(client, bucket).partition("?")[0].removesuffix(PROBE)


def _region(client: Any, bucket: str) -> str:
    """Return the region that boto3 signs for, which may differ from the configured one."""
    query = parse_qs(urlsplit(_presigned_by_boto(client, bucket)).query)
    return query["X-Amz-Credential"][0].split("/")[-3]


def code_of(exc: ClientError) -> str:
    """Return the server's code of an error, or its HTTP status."""
    code = str(exc.response.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) else str(status_of(exc))


def status_of(exc: ClientError) -> int:
    """Return an error's HTTP status."""
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def told(what: str, exc: BotoCoreError | ClientError) -> MediagateError:
    """Translate an error of botocore into one of mediagate, without text from the server or botocore."""
    if isinstance(exc, ClientError):
        code = code_of(exc)
        if code == "NoSuchKey" or code in ("404", "NotFound"):
            return ObjectNotFound(f"object {what} not found")
        if code in MENDING:
            return StorageUnavailable(f"S3, {what}: {MENDING[code]} ({code})")
        if code in DENIED or status_of(exc) == 403:
            return StorageUnavailable(
                f"S3, {what}: {exc.operation_name} is not allowed ({code}); correct the bucket's policy"
            )
        return StorageUnavailable(f"S3, {what}: the server answered {status_of(exc)} ({code}); try again in a moment")
    match exc:
        case ConnectTimeoutError() | EndpointConnectionError():
            words = "the server cannot be reached; try again in a moment"
        case SSLError():
            words = f"the server's certificate is not trusted; {TRUST}"
        case ReadTimeoutError():
            words = "the server does not answer; try again in a moment"
        case NoCredentialsError():
            words = f"credentials not found; {SIGN_IN}"
        case _:
            words = f"the request failed ({type(exc).__name__}); try again in a moment"
    return StorageUnavailable(f"S3, {what}: {words}")
