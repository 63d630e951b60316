"""Origins of pages and names of hosts, as settings name them; in the environment they are separated by commas."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._\-\[\]:]+")
_HOST = re.compile(r"\*|[A-Za-z0-9._-]+")


def read_origin(origin: str) -> str:
    """Return an origin as browsers write it: in lower case, without the port that its scheme implies."""
    scheme, _, host = origin.lower().partition("://")
    implied = {"http": ":80", "https": ":443"}.get(scheme)
    return f"{scheme}://{host.removesuffix(implied) if implied else host}"


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin; write scheme and host, such as https://app.example.com")
    return tuple(map(read_origin, origins))


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is not a host name; write it without scheme and port, such as dev.example")
    return tuple(host.lower().removesuffix(".") for host in hosts)


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_origins)]
"""Origins in order, as ``read_origin`` returns them."""
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_hosts)]
"""Host names in lower case, without a last dot; ``*`` stands for all."""
