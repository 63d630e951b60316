"""A POST to a checked address, without redirects.

A name is resolved exactly once, and the connection is opened to the checked numeric address, so a DNS answer that
changes in between has no effect. Proxies of the environment are ignored.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpcore2

from mediagate.errors import ConfigError
from mediagate.outbound.addresses import Network, may_be_reached
from mediagate.outbound.resolver import Resolver
from mediagate.outbound.target import Target

MAX_ADDRESSES = 4


class NotSent(Exception):
    """No response was received; the text gives the reason without paths, headers and secrets."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a receiver; ``body`` is empty unless requested."""

    status: int
    retry_after: str | None = None
    body: bytes = b""


class Poster:
    """Sends bodies; ``timeout_s`` covers everything from DNS to reading the response. Raises ``NotSent``."""

    def __init__(self, *, timeout_s: float, tls: ssl.SSLContext) -> None:
        self._timeout_s = timeout_s
        self._tls = tls
        self._resolver = Resolver()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._resolver.close()

    async def examine(self, what: str, target: Target, networks: Sequence[Network]) -> None:
        """Raise ``ConfigError`` unless the host resolves to allowed addresses."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.addresses(target, networks)
        except (NotSent, TimeoutError) as exc:
            raise ConfigError(f"{what}: {exc or 'the DNS lookup timed out; check the host name'}") from None

    async def post(
        self,
        target: Target,
        headers: Mapping[str, str],
        body: bytes,
        *,
        networks: Sequence[Network],
        read_bytes: int = 0,
    ) -> Answer:
        """Send a body and return the response, whatever its status, with a body of at most ``read_bytes``."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(target, headers, body, networks, read_bytes)
        except TimeoutError:
            raise NotSent(f"no response within {self._timeout_s:g} s") from None
        except httpcore2.TimeoutException:
            raise NotSent("connection timed out") from None
        except httpcore2.ConnectError as exc:
            raise NotSent(_why_not_connected(exc)) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as exc:
            raise NotSent(f"the connection ended before a complete response ({type(exc).__name__})") from None

    async def addresses(self, target: Target, networks: Sequence[Network]) -> list[str]:
        """Return the addresses of a host; raises ``NotSent`` unless all of them are allowed."""
        try:
            addresses = await self._resolver.addresses(target.host)
        except (OSError, UnicodeError) as exc:
            raise NotSent(f"the host name cannot be resolved ({type(exc).__name__})") from None
        refused = [address for address in addresses if not may_be_reached(address, networks)]
        if refused or not addresses:
            where = ", ".join(refused) or "no address"
            raise NotSent(
                f"the host resolves to {where}, which is not public; to allow it, add its network to private_networks"
            )
        return addresses

    async def _post(
        self, target: Target, headers: Mapping[str, str], body: bytes, networks: Sequence[Network], read_bytes: int
    ) -> Answer:
        addresses = await self.addresses(target, networks)
        url = httpcore2.URL(
            scheme=b"https" if target.secure else b"http",
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        backend = _Pinned(addresses[:MAX_ADDRESSES])
        connection = httpcore2.AsyncHTTPConnection(
            url.origin, ssl_context=self._tls, network_backend=backend, http1=True, http2=False
        )
        sent = [("host", target.authority), ("content-length", str(len(body))), ("connection", "close")]
        connect = {"timeout": {"connect": self._timeout_s / 2}}
        async with (
            connection,
            connection.stream(
                "POST", url, headers=[*sent, *headers.items()], content=body, extensions=connect
            ) as answer,
        ):
            answer_headers = {name.lower(): value for name, value in answer.headers}
            retry_after = answer_headers.get(b"retry-after")
            received = b""
            if read_bytes:
                async for piece in answer.aiter_stream():
                    received += piece
                    if len(received) > read_bytes:
                        raise NotSent(f"the response has more than {read_bytes:,} bytes")
            return Answer(answer.status, retry_after.decode("ascii", "replace") if retry_after else None, received)


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to the first reachable of these addresses, whatever the host name."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Open a connection."""
        failed: Exception = httpcore2.ConnectError()
        for address in self._addresses:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as exc:
                failed = exc
        raise failed


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificates with the system's authorities and those in ``ca_file``.

    Raises ``OSError`` when the file cannot be read as certificates.
    """
    context = httpcore2.default_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _why_not_connected(exc: BaseException) -> str:
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"invalid certificate: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason})"
        cause = cause.__cause__ or cause.__context__
    return "connection failed"
