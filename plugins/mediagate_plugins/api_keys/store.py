"""The keys of a gate in its database, and those that were looked up a moment ago."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mediagate import RECORDS, Action, MediaGate, Principal
from mediagate.errors import InvalidParameter, RecordsUnavailable
from mediagate.records import Database
from mediagate_plugins.api_keys.key import ApiKey, NewKey, draw, hash_of, opens, read, text_of

log = logging.getLogger("mediagate.api_keys")

KEPT = 10_000
"""How many looked-up keys a process knows; the one asked for longest ago makes room."""
USE_NOTED_EVERY = timedelta(minutes=5)
"""How exact ``last_used_at`` is: a key in constant use costs one write in this time."""


class ApiKeys:
    """Makes, lists, revokes and checks keys, by the database's clock. Every method may raise ``RecordsUnavailable``."""

    def __init__(self, gate: MediaGate, *, cache_s: float) -> None:
        self._gate = gate
        self._cache_s = cache_s
        self._revocations = 0
        self._known: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()

    async def ready(self, gate: MediaGate) -> None:
        """Raise ``ConfigError`` unless the gate's records are in a database."""
        _ = self._database

    async def now(self) -> datetime:
        """Return the present by the clock that decides when a key ends; as a rule without a query."""
        return await self._gate[RECORDS].now()

    async def create(
        self,
        *,
        owner: str,
        scopes: Collection[Action] = (Action.UPLOAD, Action.READ),
        expires_at: datetime | None = None,
        expires_in: timedelta | None = None,
    ) -> NewKey:
        """Make a key for an owner that never ends, or at a moment, or after a while.

        Raises ``InvalidParameter`` for an owner, scopes or an expiry that cannot be.
        """
        now = await self.now()
        if expires_in is not None:
            if expires_at is not None:
                raise InvalidParameter("expires_at, expires_in: give one of them")
            expires_at = now + expires_in
        try:
            Principal(owner)
        except ValueError as exc:
            raise InvalidParameter(f"owner: {exc}") from None
        if not scopes:
            raise InvalidParameter(f"scopes: give at least one of {', '.join(Action)}")
        if expires_at is not None and expires_at <= now:
            raise InvalidParameter("expires_at: name a moment that is still to come")
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
        """Return the keys of an owner, or all, first made first; revoked and expired ones too."""
        where: Any = {} if owner is None else {"ownerId": owner}
        order: Any = [{"createdAt": "asc"}, {"id": "asc"}]
        rows = await self._database.query(lambda client: client.mediagateapikey.find_many(where=where, order=order))
        return [_key_of(row) for row in rows]

    async def revoke(self, key_id: str) -> bool:
        """Revoke a key for good: here at once, elsewhere within ``cache_s``; ``False`` when there is none to revoke."""
        now = await self.now()
        where: Any = {"id": key_id, "revokedAt": None}
        revoked = await self._database.execute(
            lambda client: client.mediagateapikey.update_many(where=where, data={"revokedAt": now})
        )
        self._revocations += 1
        self._known.pop(key_id, None)
        return revoked > 0

    async def check(self, text: str) -> ApiKey | None:
        """Return the live key of this text, and note that it was used; ``None`` if it opens nothing."""
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
        # Its age counts from before it was read: a revocation that came after that is seen in time.
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
        if revocations == self._revocations:  # else it may have been revoked since it was read
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
            log.warning("the use of API key %s could not be noted: %s", key.id, exc)

    @property
    def _database(self) -> Database:
        return Database.of(self._gate[RECORDS], "api_keys")


def _key_of(row: Any) -> ApiKey:
    scopes = frozenset(Action(scope) for scope in row.scopes.split())
    return ApiKey(
        row.id, row.ownerId, scopes, row.createdAt, row.secretHash, row.expiresAt, row.revokedAt, row.lastUsedAt
    )
