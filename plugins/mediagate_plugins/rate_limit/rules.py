"""Which limits hold for whom: the plugin's options, read and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mediagate.errors import ConfigError
from mediagate_plugins.rate_limit.limits import Limit, parse_all

FAILURES = "60/minute"
"""Of an address, unless told otherwise: more than people mistype, and little for a database."""


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
        """What the limit is called to those who meet it."""
        return f"the limit for this {self.scope.replace('-', ' ')} is {self.limit.text}"

    def counter(self, caller: str) -> str:
        """Return the id under which a caller is counted: a hash, so that nobody's address is kept in clear."""
        return f"{self.policy}:{hashlib.blake2b(caller.encode(), digest_size=16).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a gate."""

    key: Sequence[Rule]
    address: Sequence[Rule]
    source: Mapping[str, Sequence[Rule]]
    failures: Sequence[Limit] = ()
    """On the requests of an address whose caller could not be told."""

    @property
    def all(self) -> list[Rule]:
        """Every rule on uploads."""
        return [*self.key, *self.address, *(rule for rules in self.source.values() for rule in rules)]


def read_rules(
    per_key: str | Sequence[str],
    per_address: str | Sequence[str],
    per_source: Mapping[str, str | Sequence[str]],
    sources: Collection[str],
    failures_per_address: str | Sequence[str] | None = None,
) -> Rules:
    """Read the options; raises ``ConfigError`` with every problem in them.

    Where ``per_address`` is given, ``failures_per_address`` is ``FAILURES`` unless something else is said.
    """
    problems = [
        f"rate_limit.per_source: {name!r} is no source of the gate; it has: {', '.join(sources)}"
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
        f"rate_limit.failures_per_address: {limit.text!r}: failures are requests; write '60/minute'"
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
        problems.append("rate_limit: give it a limit, such as per_address='60/minute'")
    if problems:
        raise ConfigError(problems)
    return read
