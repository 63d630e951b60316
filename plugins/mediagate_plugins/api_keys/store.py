"""The keys of a gate in its database, and the cache of recently used keys."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mediagate import RECORDS, Action, Erasure, Export, MediaGate, Principal, iso
from mediagate.errors import InvalidParameter, RecordsUnavailable
from mediagate.records import Database
from mediagate_plugins.api_keys.key import ApiKey, NewKey, draw, hash_of, opens, read, text_of

log = logging.getLogger("mediagate.api_keys")

KEPT = 10_000
"""Maximum number of cached keys per process; the least recently used is evicted."""
USE_NOTED_EVERY = timedelta(minutes=5)
"""Resolution of ``last_used_at``: a key in constant use costs one write per interval."""


class ApiKeys:
    """Creates, lists, revokes and checks keys, by the database's clock. Methods may raise ``RecordsUnavailable``."""

    def __init__(self, gate: MediaGate, *, cache_s: float) -> None:
        self._gate = gate
        self._cache_s = cache_s
        self._revocations = 0
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    async def ready(self, gate: MediaGate) -> None:
        """Raise ``ConfigError`` unless the gate's records are in a database."""
        _ = self._database

    async def now(self) -> datetime:
        """Return the present by the database's clock, usually without a query."""
        return await self._gate[RECORDS].now()

    async def create(
        self,
        *,
        owner: str,
        scopes: Collection[Action] = (Action.UPLOAD, Action.READ),
        expires_at: datetime | None = None,
        expires_in: timedelta | None = None,
    ) -> NewKey:
        """Create a key for an owner, optionally with an expiry.

        Raises ``InvalidParameter`` for an invalid owner, scopes or expiry.
        """
        now = await self.now()
        if expires_in is not None:
            if expires_at is not None:
                raise InvalidParameter("expires_at, expires_in: use only one of them")
            expires_at = now + expires_in
        try:
            Principal(owner)
        except ValueError as exc:
            raise InvalidParameter(f"owner: {exc}") from None
        if not scopes:
            raise InvalidParameter(f"scopes: use at least one of {', '.join(Action)}")
        if expires_at is not None and expires_at <= now:
            raise InvalidParameter("expires_at: use a time in the future")
        key_id, secret = draw()
        key = ApiKey(key_id, owner, frozenset(scopes), now, hash_of(secret), expires_at)
        row: Any = {
            "id": key.id,
            "ownerId": key.owner,
            "secretHash": key.secret_hash,
            "scopes": " ".join(sorted(key.scopes)),
            "createdAt": key.created_at,
            "expiresAt": key.expires_at,
        }
        await self._database.execute(lambda client: client.mediagateapikey.create(data=row))
        return NewKey(key, text_of(key_id, secret))

    async def list(self, *, owner: str | None = None) -> Sequence[ApiKey]:
        """Return the keys of an owner, or all, oldest first, including revoked and expired ones."""
        where: Any = {} if owner is None else {"ownerId": owner}
        order: Any = [{"createdAt": "asc"}, {"id": "asc"}]
        rows = await self._database.query(lambda client: client.mediagateapikey.find_many(where=where, order=order))
        return [_key_of(row) for row in rows]

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key: in this process at once, in others within ``cache_s``; ``False`` if no live key has this id."""
        now = await self.now()
        where: Any = {"id": key_id, "revokedAt": None}
        revoked = await self._database.execute(
            lambda client: client.mediagateapikey.update_many(where=where, data={"revokedAt": now})
        )
        self._revocations += 1
        self._known.pop(key_id, None)
        return revoked > 0

    async def delete(self, *, owner: str) -> int:
        """Delete the keys of an owner: in this process at once, in others within ``cache_s``; returns their number."""
        where: Any = {"ownerId": owner}
        deleted = await self._database.execute(lambda client: client.mediagateapikey.delete_many(where=where))
        self._revocations += 1
        for key_id in [key_id for key_id, (_, key) in self._known.items() if key.owner == owner]:
            del self._known[key_id]
        return deleted

    async def erase(self, erasure: Erasure) -> None:
        """Delete the keys of an owner whose data is erased; registered as a hook."""
        erasure.add("API keys", await self.delete(owner=erasure.owner))

    async def export(self, export: Export) -> None:
        """Add the keys of an owner, without their secrets, to an export; registered as a hook."""
        now = await self.now()
        export.add("api_keys", [_record(key, now) for key in await self.list(owner=export.owner)])

    async def check(self, text: str) -> ApiKey | None:
        """Return the live key with this text and record its use; ``None`` if there is none."""
        parts = read(text)
        if parts is None:
            return None
        key_id, secret = parts
        key = await self._find(key_id)
        now = await self.now()
        if not opens(secret, key, now) or key is None:
            return None
        if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
            await self._note_use(key, now)
        return key

    async def _find(self, key_id: str) -> ApiKey | None:
        known = self._known.get(key_id)
        # The age counts from before the read, so that a later revocation is noticed in time.
        asked_at = time.monotonic()
        if known is not None and asked_at - known[0] < self._cache_s:
            self._known.move_to_end(key_id)
            return known[1]
        revocations = self._revocations
        row = await self._database.query(lambda client: client.mediagateapikey.find_unique(where={"id": key_id}))
        if row is None:
            self._known.pop(key_id, None)
            return None
        key = _key_of(row)
        if revocations == self._revocations:  # otherwise it may have been revoked since the read
            self._keep(asked_at, key)
        return key

    def _keep(self, asked_at: float, key: ApiKey) -> None:
        self._known[key.id] = (asked_at, key)
        self._known.move_to_end(key.id)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    async def _note_use(self, key: ApiKey, now: datetime) -> None:
        if (known := self._known.get(key.id)) is not None:
            self._known[key.id] = (known[0], replace(known[1], last_used_at=now))
        try:
            where: Any = {"id": key.id}
            await self._database.execute(
                lambda client: client.mediagateapikey.update_many(where=where, data={"lastUsedAt": now})
            )
        except RecordsUnavailable as exc:
            log.warning("could not record the use of API key %s: %s", key.id, exc)

    @property
    def _database(self) -> Database:
        return Database.of(self._gate[RECORDS], "api_keys")


def _key_of(row: Any) -> ApiKey:
    scopes = frozenset(Action(scope) for scope in row.scopes.split())
    return ApiKey(
        row.id, row.ownerId, scopes, row.createdAt, row.secretHash, row.expiresAt, row.revokedAt, row.lastUsedAt
    )


def _record(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "key": key.id,
        "state": key.state(now),
        "scopes": sorted(key.scopes),
        "createdAt": iso(key.created_at),
        "expiresAt": iso(key.expires_at),
        "revokedAt": iso(key.revoked_at),
        "lastUsedAt": iso(key.last_used_at),
    }
