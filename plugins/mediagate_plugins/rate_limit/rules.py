"""The rules: the plugin's options, parsed and validated."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mediagate.errors import ConfigError
from mediagate_plugins.rate_limit.limits import Limit, parse_all

FAILURES = "60/minute"
"""Default limit per address: above the rate of honest typing errors, and a light load for a database."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit within its scope: ``key``, ``address``, or ``source-`` and a source type."""

    scope: str
    limit: Limit

    @property
    def policy(self) -> str:
        """The name of the limit, such as ``address-requests-60``."""
        window = f"-{self.limit.window_s}" if self.limit.window_s else ""
        return f"{self.scope}-{self.limit.kind}{window}"

    @property
    def words(self) -> str:
        """The description of the limit in errors."""
        return f"the limit for this {self.scope.replace('-', ' ')} is {self.limit.text}"

    def counter(self, caller: str) -> str:
        """Return the id of a caller's counter: a hash, so that addresses are not stored in clear."""
        return f"{self.policy}:{hashlib.blake2b(caller.encode(), digest_size=16).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a gate."""

    key: Sequence[Rule]
    address: Sequence[Rule]
    source: Mapping[str, Sequence[Rule]]
    failures: Sequence[Limit] = ()
    """Limits on the failed authentications of an address."""

    @property
    def all(self) -> list[Rule]:
        """All rules on uploads."""
        return [*self.key, *self.address, *(rule for rules in self.source.values() for rule in rules)]


def read_rules(
    per_key: str | Sequence[str],
    per_address: str | Sequence[str],
    per_source: Mapping[str, str | Sequence[str]],
    sources: Collection[str],
    failures_per_address: str | Sequence[str] | None = None,
) -> Rules:
    """Parse the options; raises ``ConfigError`` with all problems in them.

    If ``per_address`` is set, ``failures_per_address`` defaults to ``FAILURES``.
    """
    problems = [
        f"rate_limit.per_source: {name!r} is not a source of the gate; use one of: {', '.join(sources)}"
        for name in per_source
        if name not in sources
    ]

    def rules(option: str, scope: str, texts: str | Sequence[str]) -> list[Rule]:
        try:
            return [Rule(scope, limit) for limit in parse_all(texts)]
        except ValueError as exc:
            problems.append(f"rate_limit.{option}: {exc}")
            return []

    if failures_per_address is None:
        failures_per_address = FAILURES if per_address else ()
    failures = [rule.limit for rule in rules("failures_per_address", "address", failures_per_address)]
    problems += [
        f"rate_limit.failures_per_address: {limit.text!r} is not a number of requests; write '60/minute'"
        for limit in failures
        if limit.kind != "requests"
    ]
    read = Rules(
        rules("per_key", "key", per_key),
        rules("per_address", "address", per_address),
        {name: rules(f"per_source.{name}", f"source-{name}", texts) for name, texts in per_source.items()},
        failures,
    )
    if not problems and not read.all and not failures:
        problems.append("rate_limit: no limit is set; set one, such as per_address='60/minute'")
    if problems:
        raise ConfigError(problems)
    return read
