"""The target of a request: a URL parsed once, so that the checked host is the requested one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_URL = re.compile(r"[!#-;=?-\[\]^-~]{1,2048}")
"""Printable ASCII except blanks, quotes, angle brackets and backslashes, about which URL parsers disagree."""
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_IPV6 = re.compile(r"[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL; its path may contain a secret and is not shown."""

    secure: bool
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"


def read_url(url: str) -> Target:
    """Parse a URL; raises ``ValueError`` with the reason, without quoting the URL."""
    if not _URL.fullmatch(url):
        raise ValueError("it must have at most 2,048 printable ASCII characters; write other hosts in punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("its host or port is invalid") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("it must begin with https://")
    if "@" in parts.netloc:
        raise ValueError("it must not contain a user name or password")
    host = (parts.hostname or "").removesuffix(".")
    if not (_IPV6.fullmatch(host) if "[" in parts.netloc else _NAME.fullmatch(host)) or port == 0:
        raise ValueError("its host or port is invalid")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)
