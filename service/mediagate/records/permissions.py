"""What the query engine may read, write and connect to: its own files, and its database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from mediagate.errors import ConfigError
from mediagate.records.address import KEY_FILES, PORT, postgres_parts

VARIABLES = ("MEDIAGATE_ENGINE_SOCKET", "MEDIAGATE_ENGINE_PARENT", "OVERWRITE_DATASOURCES", "PRISMA_DML_PATH")
"""The variables of the engine."""

POSTGRES_VARIABLES = ("PG*", "HOME", "USER")
"""The variables that complete a PostgreSQL URL, as those of libpq do."""

SANDBOX = (
    "--quiet",
    "--no-prompt",
    "--no-config",
    "--no-lock",
    "--no-remote",
    "--no-npm",
    "--cached-only",
    "--no-code-cache",
    "--ignore-env",
)
"""Options of Deno: ask nobody, load nothing but the engine's files, write no cache, hide all other variables."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Files, addresses and environment variables; everything else is refused. A folder stands for all files in it."""

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    addresses: tuple[str, ...]
    """``host:port``, or ``unix:`` and the path of a socket."""
    variables: tuple[str, ...]

    def of_deno(self) -> list[str]:
        """Return the command ``deno run`` with these permissions (https://docs.deno.com/runtime/fundamentals/security).

        Raises ``ConfigError`` for a path with a comma, which separates paths and cannot be escaped.
        """
        if odd := [str(path) for path in (*self.reads, *self.writes) if "," in str(path)]:
            raise ConfigError(
                f"Deno cannot run the query engine with a comma in {odd[0]}: rename it, or put Node first on PATH"
            )
        granted: Mapping[str, Iterable[str]] = {
            "read": [*map(str, self.reads), *map(str, self.writes)],
            "write": map(str, self.writes),
            "net": self.addresses,
            "env": self.variables,
        }
        return ["run", *SANDBOX, *(f"--allow-{kind}={','.join(values)}" for kind, values in granted.items())]


def permissions_for(url: str, *, program: Path, schema: Path, socket: Path, env: Mapping[str, str]) -> Permissions:
    """Return what an engine needs that listens on a socket, in a folder of its own, and serves a database.

    The paths in the URL are absolute. Raises ``ConfigError`` for a malformed URL.
    """
    files = (program.parent, schema)
    listening = f"unix:{socket}"
    parts = postgres_parts(url)
    if parts is None:
        database = Path(url.removeprefix("file:").partition("?")[0])
        return Permissions(files, (socket.parent, database), (listening,), VARIABLES)
    options = dict(parse_qsl(parts.query))
    host = options.get("host") or unquote(parts.hostname or "") or env.get("PGHOST") or "localhost"
    port = options.get("port") or parts.port or env.get("PGPORT") or PORT
    keys = [Path(options[name]) for name in KEY_FILES if options.get(name)]
    passwords = Path(env.get("PGPASSFILE") or Path(env.get("HOME", "/"), ".pgpass"))
    reads = (*files, *keys, passwords)
    variables = (*VARIABLES, *POSTGRES_VARIABLES)
    if host.startswith("/"):
        server = Path(host) / f".s.PGSQL.{port}"
        return Permissions(reads, (socket.parent, server), (listening, f"unix:{server}"), variables)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Permissions(reads, (socket.parent,), (listening, address), variables)
