"""What the database's URL says: where the tables are, and how many connections may be opened."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from mediagate.errors import ConfigError

CONNECTIONS = 5
"""Connections to PostgreSQL that one process opens at most, unless told."""
PORT = 5432
"""PostgreSQL's, where the URL names none."""


def with_connections(url: str, connections: int | None) -> str:
    """Return the URL with the number of connections that this process may open, in Prisma's words.

    SQLite's has none. Raises ``ConfigError`` when the URL cannot be read, or when it and the setting say two different
    numbers.
    """
    options = _options(url)
    if options is None:
        return url
    said = options.get("connection_limit")
    if said is not None and not (said.isascii() and said.isdigit() and int(said)):
        raise ConfigError(f"database_url: connection_limit must be a whole number from 1, not {said!r}")
    if said is not None and connections is not None and int(said) != connections:
        raise ConfigError(
            f"database_connections is {connections} and the database URL says connection_limit={said}: "
            "remove one of the two"
        )
    limit = {"connection_limit": said or str(connections or CONNECTIONS)}
    return urlunsplit(urlsplit(url)._replace(query=urlencode({**options, **limit})))


def postgres_schema(url: str) -> str | None:
    """Return the schema that holds the tables on PostgreSQL, ``None`` for SQLite; raises ``ConfigError``."""
    options = _options(url)
    return None if options is None else options.get("schema", "public")


def place_of(url: str) -> str:
    """Return where the database is, in words and without its password; raises ``ConfigError``."""
    parts = postgres_parts(url)
    if parts is None:
        return f"the SQLite file {url.removeprefix('file:').partition('?')[0]}"
    host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "localhost")
    if host.startswith("/"):
        return f"PostgreSQL on a socket in {host}"
    return f"PostgreSQL at {f'[{host}]' if ':' in host else host}:{parts.port or PORT}"


def postgres_parts(url: str) -> SplitResult | None:
    """Return the parts of PostgreSQL's URL, ``None`` for SQLite's; raises ``ConfigError`` for any other, unquoted."""
    if url.startswith("file:"):
        return None
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("MEDIAGATE_DATABASE_URL: the database URL must start with file: or postgresql://")
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
        # What a / # or ? in a password leaves behind, and what an @ in it does.
        readable = "@" not in parts.path + parts.query + parts.fragment and parts.netloc.count("@") <= 1
    except ValueError:
        readable = False
    if not readable:
        # Not chained: what is raised above may quote the URL with its password.
        raise ConfigError(
            "MEDIAGATE_DATABASE_URL: the database URL cannot be read. In a user name and a password write / as %2F, "
            "@ as %40, : as %3A, # as %23, ? as %3F and % as %25; the port is a number"
        )
    return parts


def _options(url: str) -> dict[str, str] | None:
    parts = postgres_parts(url)
    return None if parts is None else dict(parse_qsl(parts.query, keep_blank_values=True))
