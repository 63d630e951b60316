"""The report of ``mediagate doctor`` on endpoints that answered 410 Gone: they receive nothing until resumed."""

from __future__ import annotations

from collections.abc import Collection

from mediagate import Records
from mediagate.errors import ConfigError, RecordsUnavailable
from mediagate.records import Database
from mediagate_plugins.webhooks.deliveries import Deliveries


async def stopped_of(records: Records, endpoints: Collection[str]) -> str:
    """Check records that are not open; raises ``ConfigError`` when one of the endpoints is stopped."""
    database = Database.of(records, "webhooks")
    try:
        await records.open()
        try:
            stops = await Deliveries(database, endpoints, callbacks=False).stopped()
        finally:
            await records.close()
    except RecordsUnavailable:
        return "stopped endpoints unknown, since the database is unavailable"
    stopped = [f"{name!r} since {stops[name]:%Y-%m-%dT%H:%M:%SZ}" for name in endpoints if name in stops]
    if stopped:
        raise ConfigError(
            f"webhooks: stopped, because they answered 410 Gone: {', '.join(stopped)}; nothing is sent to them until "
            "`mediagate webhooks resume NAME`"
        )
    return "none is stopped"
