"""The database's URL: the place of the tables, and the number of connections."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from mediagate.errors import ConfigError

CONNECTIONS = 5
"""The most connections that one process opens to PostgreSQL by default."""
PORT = 5432
"""The default port of PostgreSQL."""
KEY_FILES = ("sslrootcert", "sslcert", "sslkey")
"""The options whose values are files."""


def with_connections(url: str, connections: int | None) -> str:
    """Return the URL with the connection limit of this process in Prisma's syntax.

    SQLite has no limit. Raises ``ConfigError`` when the URL is malformed, or when the URL and the setting disagree.
    """
    options = _options(url)
    if options is None:
        return url
    said = options.get("connection_limit")
    if said is not None and not (said.isascii() and said.isdigit() and int(said)):
        raise ConfigError(f"database_url: connection_limit must be a whole number from 1, not {said!r}")
    if said is not None and connections is not None and int(said) != connections:
        raise ConfigError(
            f"database_connections is {connections}, but the database URL has connection_limit={said}: "
            "remove one of the two"
        )
    limit = {"connection_limit": said or str(connections or CONNECTIONS)}
    return urlunsplit(urlsplit(url)._replace(query=urlencode({**options, **limit})))


def with_absolute_paths(url: str) -> str:
    """Return the URL for a process that runs in another folder; raises ``ConfigError``."""
    options = _options(url)
    if options is None:
        path, mark, query = url.removeprefix("file:").partition("?")
        # Deno's SQLite follows no symbolic link.
        return f"file:{Path(path).resolve()}{mark}{query}"
    files = {name: str(Path(options[name]).absolute()) for name in KEY_FILES if options.get(name)}
    return urlunsplit(urlsplit(url)._replace(query=urlencode({**options, **files})))


def postgres_schema(url: str) -> str | None:
    """Return the schema of the tables on PostgreSQL, ``None`` for SQLite; raises ``ConfigError``."""
    options = _options(url)
    return None if options is None else options.get("schema", "public")


def place_of(url: str) -> str:
    """Describe the location of the database without its password; raises ``ConfigError``."""
    parts = postgres_parts(url)
    if parts is None:
        return f"the SQLite file {url.removeprefix('file:').partition('?')[0]}"
    host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "localhost")
    if host.startswith("/"):
        return f"PostgreSQL on a socket in {host}"
    return f"PostgreSQL at {f'[{host}]' if ':' in host else host}:{parts.port or PORT}"


def postgres_parts(url: str) -> SplitResult | None:
    """Return the parts of a PostgreSQL URL, ``None`` for SQLite; raises ``ConfigError``, which never quotes the URL."""
    if url.startswith("file:"):
        return None
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("MEDIAGATE_DATABASE_URL: the database URL must start with file: or postgresql://")
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
        # The traces of an unescaped / # ? or @ in a password.
        readable = "@" not in parts.path + parts.query + parts.fragment and parts.netloc.count("@") <= 1
    except ValueError:
        readable = False
    if not readable:
        # Not chained: the original exception may quote the URL with its password.
        raise ConfigError(
            "MEDIAGATE_DATABASE_URL: the database URL is malformed. In a user name and a password write / as %2F, "
            "@ as %40, : as %3A, # as %23, ? as %3F and % as %25; the port is a number"
        )
    return parts


def _options(url: str) -> dict[str, str] | None:
    parts = postgres_parts(url)
    return None if parts is None else dict(parse_qsl(parts.query, keep_blank_values=True))
