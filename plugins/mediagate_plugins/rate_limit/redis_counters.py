"""Counters in Redis: one script counts all charges of a request, or none; Redis expires them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from mediagate.errors import ConfigError, Unavailable
from mediagate_plugins.rate_limit.counters import Charge, Charged, Correction, Count

PREFIX = "mediagate:rate:"
TIMEOUT_S = 2.0

NOW = "local time = redis.call('TIME'); local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
CHARGE = (
    NOW
    + """
local answer, fits = {}, 1
for i, key in ipairs(KEYS) do
  local amount, allowed, window = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local found = redis.call('HMGET', key, 'used', 'ends')
  local used, ends = tonumber(found[1] or 0), tonumber(found[2] or 0)
  if ends <= now then used, ends = 0, now + window end
  local room = used + amount <= allowed
  if not room then fits = 0 end
  answer[i] = {used, ends, ends - now, room and 1 or 0}
end
if fits == 1 then
  for i, key in ipairs(KEYS) do
    answer[i][1] = answer[i][1] + tonumber(ARGV[3 * i - 2])
    redis.call('HSET', key, 'used', string.format('%.0f', answer[i][1]), 'ends', string.format('%.0f', answer[i][2]))
    redis.call('PEXPIREAT', key, string.format('%.0f', answer[i][2]))
  end
end
return {fits, answer}
"""
)
CORRECT = """
if tonumber(redis.call('HGET', KEYS[1], 'ends') or 0) ~= tonumber(ARGV[1]) then return 0 end
local used = tonumber(redis.call('HGET', KEYS[1], 'used')) + tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'used', string.format('%.0f', math.max(0, used)))
return 1
"""


class RedisCounters:
    """Counters in one Redis (5 or newer), by its clock; ``url`` in redis-py's notation. Raises ``ConfigError``."""

    def __init__(self, url: str) -> None:
        try:
            self._redis: Redis = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        except ValueError:
            raise ConfigError(
                "rate_limit: invalid redis_url; write it as redis://host:6379/0 (or rediss://, unix://)"
            ) from None
        self._charge = self._redis.register_script(CHARGE)
        self._correct = self._redis.register_script(CORRECT)

    async def charge(self, charges: Sequence[Charge]) -> Charged:
        """Count all charges or none."""
        values = [v for c in charges for v in (c.amount, c.rule.limit.amount, c.rule.limit.window_s * 1000)]
        _, answer = await self._ask(self._charge, [c.id for c in charges], values)
        counts = {
            charge.id: Count(used, remaining, ends)
            for charge, (used, ends, remaining, _) in zip(charges, answer, strict=True)
        }
        refused = frozenset(c.id for c, (*_, room) in zip(charges, answer, strict=True) if not room)
        return Charged(counts, refused)

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Adjust earlier charges to their actual amounts."""
        for one in corrections:
            await self._ask(self._correct, [one.id], [one.ends_at_ms, one.amount])

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete these counters."""
        try:
            return int(await self._redis.delete(*(PREFIX + one for one in ids)))
        except (RedisError, OSError) as exc:
            raise _unavailable() from exc

    async def clean(self) -> int:
        """Do nothing: Redis expires the counters."""
        return 0

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, script: Any, ids: Sequence[str], values: Sequence[int]) -> Any:
        try:
            return await script(keys=[PREFIX + one for one in ids], args=values)
        except (RedisError, OSError) as exc:
            raise _unavailable() from exc


def _unavailable() -> Unavailable:
    # Without the error's text, which may contain the server's address.
    return Unavailable("the store of the limits is unavailable; try again in a moment")
