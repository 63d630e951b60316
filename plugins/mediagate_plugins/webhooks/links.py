"""Checking the links in webhooks: a webhook is read outside of any request, so its links must be absolute."""

from __future__ import annotations

from datetime import UTC, datetime

from mediagate import STORAGE, MediaGate, Source


def link_problem(gate: MediaGate) -> str | None:
    """Return the advice about links that would be relative, ``None`` when there are none."""
    if gate.settings.public_base_url:
        return None
    relative = [name for name, source in gate.sources.items() if not _has_url(gate, name, source)]
    if not relative:
        return None
    return (
        f"webhooks: links to the files of {', '.join(relative)} would be relative; set public_base_url "
        "(MEDIAGATE_PUBLIC_BASE_URL) to the absolute URL of the gate"
    )


def _has_url(gate: MediaGate, name: str, source: Source) -> bool:
    """Whether the storage has URLs for the files of a source."""
    key = f"media/{name}/id/id/size.webp"
    if source.visibility == "private":
        return gate[STORAGE].presign_get(key, signed_at=datetime.now(UTC), expires_s=60) is not None
    return gate[STORAGE].url(key) is not None
