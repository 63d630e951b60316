"""Moderation by a service that speaks JSON over HTTP: ``pip install "mediagate[http]"``.

The service receives JPEGs that are encoded here, with only the pixels of the uploaded file that a local model would
see. These pictures leave your machines: inform your users.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from mediagate import REMOTE_MODERATOR, MediaGate, plugin
from mediagate.errors import ConfigError
from mediagate_plugins.http_moderation.presets import google_safe_search, openai
from mediagate_plugins.http_moderation.service import Service

__all__ = ["Service", "google_safe_search", "http_moderation", "openai"]

LONGEST_TIMEOUT_S = 300


@plugin("http_moderation", provides=("REMOTE_MODERATOR",))
async def http_moderation(
    gate: MediaGate,
    *,
    service: Service,
    groups: Mapping[str, Collection[str]] | None = None,
    timeout_s: float = 10.0,
    max_calls_per_day: int | None = None,
    ca_file: str | Path | None = None,
) -> None:
    """Let a service judge the pictures that the local moderator, if there is one, allows.

    ``groups`` names sets of labels for thresholds. A picture without an answer within ``timeout_s`` waits and is
    retried, and so does every picture beyond ``max_calls_per_day`` (UTC, all processes together). ``ca_file`` has
    further certificate authorities in PEM. Raises ``ConfigError``.
    """
    try:
        from mediagate.outbound import Poster, tls_context  # imported lazily: its library is an extra
        from mediagate_plugins.http_moderation.moderator import HttpModerator
    except ImportError as exc:
        raise ConfigError(f'http_moderation needs httpcore2: pip install "mediagate[http]" ({exc})') from None
    named = {name: frozenset(labels) for name, labels in (groups or {}).items()}
    problems = [
        f"groups: {name!r} has labels without a score: {', '.join(sorted(unknown))}"
        for name, labels in named.items()
        if (unknown := labels - service.scores.keys())
    ]
    if not 0 < timeout_s <= LONGEST_TIMEOUT_S:
        problems.append(f"timeout_s: give seconds above 0 and at most {LONGEST_TIMEOUT_S}")
    if max_calls_per_day is not None and max_calls_per_day < 1:
        problems.append("max_calls_per_day: give at least 1, or none for no limit")
    try:
        tls = tls_context(str(ca_file) if ca_file is not None else None)
    except OSError as exc:
        problems.append(f"ca_file {str(ca_file)!r} has no readable PEM certificates ({exc})")
    if problems:
        raise ConfigError([f"http_moderation: {problem}" for problem in problems])
    poster = await gate.enter(Poster(timeout_s=timeout_s, tls=tls))
    moderator = HttpModerator(service, poster, groups=named, timeout_s=timeout_s, max_calls_per_day=max_calls_per_day)
    gate.decorate(REMOTE_MODERATOR, moderator)
    gate.add_check("service", moderator.examine)
