"""What the database's URL says of where the tables are and how many connections may be opened."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mediagate.errors import ConfigError

CONNECTIONS = 5
"""Connections to PostgreSQL that one process opens at most, unless told."""


def with_connections(url: str, connections: int | None) -> str:
    """Return the URL with the number of connections that this process may open, in Prisma's words.

    SQLite's has none. Raises ``ConfigError`` when the URL and the setting say two different numbers.
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
    """Return the schema that holds the tables on PostgreSQL, ``None`` for SQLite."""
    options = _options(url)
    return None if options is None else options.get("schema", "public")


def _options(url: str) -> dict[str, str] | None:
    if not url.startswith(("postgresql:", "postgres:")):
        return None
    try:
        return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    except ValueError:
        # Not chained: it may quote the URL with its password.
        raise ConfigError("the database URL cannot be read: check its host and port") from None
