"""API keys: callers authenticate with a key and see only the uploads of its owner.

Keys are created, listed and revoked with ``mediagate keys``, or from Python with ``gate[API_KEYS]``.
"""

from __future__ import annotations

from mediagate import AUTHORIZE, Key, MediaGate, plugin
from mediagate.errors import ConfigError
from mediagate_plugins.api_keys.authorizer import Authorizer
from mediagate_plugins.api_keys.key import ApiKey, NewKey
from mediagate_plugins.api_keys.store import ApiKeys

__all__ = ["API_KEYS", "ApiKey", "ApiKeys", "NewKey", "api_keys"]

API_KEYS: Key[ApiKeys] = Key("API_KEYS")


@plugin("api_keys", provides=("AUTHORIZE",))
async def api_keys(gate: MediaGate, *, cache_s: float = 5.0) -> None:
    """Require a key in each request, as ``Authorization: Bearer …`` or ``X-API-Key: …``.

    A key is cached for ``cache_s`` seconds (0 to 60); after a revocation, other processes may accept it for up to this
    long. The keys are stored in the database; raises ``ConfigError`` for records without one.
    """
    if not 0 <= cache_s <= 60:
        raise ConfigError("api_keys.cache_s: use 0 to 60 seconds")
    keys = ApiKeys(gate, cache_s=cache_s)
    gate.decorate(API_KEYS, keys)
    gate.decorate(AUTHORIZE, Authorizer(keys).authorize)
    gate.add_hook("on_ready", keys.ready)
    gate.add_hook("pre_erase", keys.erase)
    gate.add_hook("pre_export", keys.export)
