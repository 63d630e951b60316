"""Where a gate is mounted, read from what hosts really hand over.

By the ASGI specification ``path`` begins with ``root_path``. Some hosts cut their mount off ``path`` and do not add it
to ``root_path`` (Litestar). Others begin ``root_path`` with the prefix of a proxy that has stripped it off ``path``
(``FastAPI(root_path=…)``, ``hypercorn --root-path``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from starlette._utils import get_route_path
from starlette.routing import Match, Route
from starlette.types import Scope

_PART = re.compile(r"[^\x00-\x20\x7f\\?#%]+")
"""A part of a path that stands in a URL as it is."""
DEEPEST = 8
"""Parts of a path before a route that are looked at for a mount."""


def locate(scope: Scope) -> Scope:
    """Return a scope whose ``path`` begins with its ``root_path``, or the same scope if the two cannot be reconciled.

    The route of a request stays the one that the host has cut out: only the text in front of it changes, so no path can
    lead to a route that the host's own routing has not chosen.
    """
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    cut, path = _cut(scope.get("raw_path"), path)
    outer, mount = _split(root, path, scope.get("app_root_path", "").rstrip("/"))
    if cut and _begins(cut, root):
        front, mount = cut, ""
    elif mount is not None:
        front = outer + cut
    elif cut and f"{root}/" not in f"{cut}/":
        front, mount = root + cut, ""
    else:
        return scope
    if (front, path) == ("", scope["path"]):
        return scope
    return {**scope, "root_path": front + mount, "path": front + path}


def _split(root: str, path: str, app_root: str) -> tuple[str, str | None]:
    """Return ``root`` in two: what a proxy stripped off ``path``, and the mount with which ``path`` begins."""
    if _begins(path, root):
        return "", root
    # Starlette notes what stood in root_path before its own mounts were added.
    mount = root.removeprefix(app_root)
    if _is_plain(app_root) and mount != root and mount.startswith("/") and _begins(path, mount):
        return app_root, mount
    return "", None


def _cut(raw_path: bytes | None, path: str) -> tuple[str, str]:
    """Return what a host has cut off the path that the client sent, and ``path`` with the slashes that were sent."""
    if not raw_path:
        return "", path
    raw = unquote(raw_path.partition(b"?")[0].decode("latin-1"))
    if raw == path or not raw.startswith("/"):
        return "", path
    # Compared by parts, since hosts also collapse slashes.
    sent, left = _parts(raw), _parts(path)
    cut = sent[: len(sent) - len(left)]
    front = "/" + "/".join(cut) if cut else ""
    if cut + left != sent or (cut and not (_is_plain(front) and path.startswith("/"))):
        return "", path
    if left and not raw.endswith("/"):
        path = path.rstrip("/")
    # A mount at / is cut off with its slash.
    return front, path if path.startswith("/") else f"/{path}"


def _is_plain(front: str) -> bool:
    """Whether links can begin with a text as it is."""
    empty, *parts = front.split("/")
    return not empty and bool(parts) and all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _begins(path: str, root: str) -> bool:
    return (path + "/").startswith(root + "/")


def unnamed_mount(scope: Scope, routes: Sequence[Route]) -> str | None:
    """Return what stands before a route in a path that is none, as if the gate were mounted there."""
    parts = get_route_path(scope).split("/")
    for at in range(2, min(len(parts), DEEPEST + 1)):
        if not parts[at - 1]:
            break
        rest = {**scope, "root_path": "", "path": "/" + "/".join(parts[at:])}
        if any(route.matches(rest)[0] is Match.FULL for route in routes):
            return "/".join(parts[:at])
    return None
