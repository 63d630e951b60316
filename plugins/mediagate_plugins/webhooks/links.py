"""Whether the links in a webhook lead anywhere: it is read outside of any request, so they must be absolute."""

from __future__ import annotations

from mediagate import STORAGE, MediaGate


def link_problem(gate: MediaGate) -> str | None:
    """Return what to do about links that would be relative, ``None`` when there are none."""
    if gate.settings.public_base_url:
        return None
    relative = [name for name in gate.sources if gate[STORAGE].url(f"media/{name}/id/id/size.webp") is None]
    if not relative:
        return None
    return (
        f"webhooks: links to the files of {', '.join(relative)} would be relative; set public_base_url "
        "(MEDIAGATE_PUBLIC_BASE_URL) to the absolute URL of the gate"
    )
