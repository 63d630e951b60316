"""The receivers of events: the host's own endpoints, and the ``callbackUrl`` of single uploads."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from mediagate import EventType
from mediagate.errors import ConfigError
from mediagate.outbound import Network, Target, may_be_reached, read_url
from mediagate_plugins.webhooks.signatures import key_of

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.:-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A configured receiver; raises ``ConfigError``.

    ``secrets`` are ``whsec_…``, newest first. Each event is signed with all of them, so that a secret can be rotated
    without losing events; ``x-mediagate-signature`` uses the last and so the oldest one. ``events`` are the types to
    send. ``insecure_http`` allows a URL with ``http://``. ``private_networks``, such as ``10.0.0.0/8``, may be
    contacted although they are not public.
    """

    url: str = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    events: Collection[str] = tuple(EventType)
    insecure_http: bool = False
    private_networks: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = _secret_problems(self.secrets) + _network_problems(self.private_networks)
        try:
            if not read_url(self.url).secure and not self.insecure_http:
                problems.append("url: it must begin with https:// (or say insecure_http=True)")
        except ValueError as exc:
            problems.append(f"url: {exc}")
        unknown = sorted(set(self.events) - set(EventType))
        if unknown or not self.events or isinstance(self.events, str):
            problems.append(f"events: give some of {', '.join(EventType)}")
        _raise("Endpoint", problems)

    @property
    def target(self) -> Target:
        """The parsed URL."""
        return read_url(self.url)

    @property
    def networks(self) -> tuple[Network, ...]:
        """``private_networks``, read."""
        return tuple(ip_network(network) for network in self.private_networks)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The allowed values of an upload's ``callbackUrl``, always https; raises ``ConfigError``.

    All receivers share ``secrets``, and each of them can sign messages that the others accept. So the receivers must
    trust one another, and no endpoint may have one of these secrets. ``hosts`` are names such as ``hooks.example.com``
    or ``*.example.com``; without them any public host is allowed. ``private_networks`` is for development: every
    uploader can cause requests to them.
    """

    secrets: Sequence[str] = field(repr=False)
    hosts: Collection[str] | None = None
    private_networks: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = _secret_problems(self.secrets) + _network_problems(self.private_networks)
        if self.hosts is not None and (
            isinstance(self.hosts, str) or not all(_HOST.fullmatch(host) for host in self.hosts)
        ):
            problems.append("hosts: give names in lower case, such as ['hooks.example.com', '*.example.com']")
        _raise("Callbacks", problems)

    @property
    def networks(self) -> tuple[Network, ...]:
        """``private_networks``, read."""
        return tuple(ip_network(network) for network in self.private_networks)

    def read(self, url: str) -> Target:
        """Parse a ``callbackUrl``; raises ``ValueError`` when this gate does not call it."""
        target = read_url(url)
        if not target.secure:
            raise ValueError("it must begin with https://")
        if self.hosts is not None and not any(_covers(pattern, target.host) for pattern in self.hosts):
            raise ValueError("the host is not allowed for callbacks; use one that the service names")
        if _numeric(target.host) and not may_be_reached(target.host, self.networks):
            raise ValueError("it must name a public host, or one that private_networks of Callbacks allows")
        return target


def _covers(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _secret_problems(secrets: Sequence[str]) -> list[str]:
    if isinstance(secrets, str) or not secrets:
        return ["secrets: give a list of at least one"]
    problems = []
    for number, secret in enumerate(secrets, 1):
        try:
            key_of(secret)
        except ValueError as exc:
            problems.append(f"secrets: {exc} (number {number})")
    return problems


def _network_problems(networks: Sequence[str]) -> list[str]:
    problems = ["private_networks: give a list"] if isinstance(networks, str) else []
    for network in networks if not problems else ():
        try:
            ip_network(network)
        except ValueError:
            problems.append(f"private_networks: {network!r} is not a network; write it as 10.0.0.0/8")
    return problems


def _raise(owner: str, problems: list[str]) -> None:
    if problems:
        raise ConfigError([f"webhooks: {owner}.{problem}" for problem in problems])
