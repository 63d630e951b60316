"""What the database's URL says of where the tables are."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from mediagate.errors import ConfigError


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
