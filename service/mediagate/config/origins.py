"""Validation of origins, link prefixes and host names in settings; lists are separated by commas."""

from __future__ import annotations

import re

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._\-\[\]:]+")
_BASE = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.IGNORECASE)
_HOST = re.compile(r"\*|[A-Za-z0-9._-]+")


def read_origin(origin: str) -> str:
    """Return an origin in the form of browsers: lower case, without the default port of its scheme."""
    scheme, _, host = origin.lower().partition("://")
    implied = {"http": ":80", "https": ":443"}.get(scheme)
    return f"{scheme}://{host.removesuffix(implied) if implied else host}"


def listed(value: object) -> object:
    """Split a comma-separated string into a list; return any other value unchanged."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins in the form of ``read_origin``; raises ``ValueError``."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin; write scheme and host, such as https://app.example.com")
    return tuple(map(read_origin, origins))


def checked_base(url: str | None) -> str | None:
    """Return a link prefix, ``None`` if it is empty; raises ``ValueError`` unless it is an absolute URL."""
    if url and not _BASE.fullmatch(url):
        # Not quoted: it may contain a password.
        raise ValueError(
            "not an absolute URL; write http:// or https://, host and path, such as https://app.example.com/media"
        )
    return url or None


def checked_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return host names in lower case, without a trailing dot; raises ``ValueError``. ``*`` stands for all."""
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(f"{host!r} is not a host name; write it without scheme and port, such as dev.example")
    return tuple(host.lower().removesuffix(".") for host in hosts)
