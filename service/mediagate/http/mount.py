"""The mount path of a gate, derived from the scopes that hosts actually pass.

By the ASGI specification ``path`` begins with ``root_path``. Some hosts cut the mount off ``path`` without adding it
to ``root_path`` (Litestar). Others begin ``root_path`` with a prefix that their proxy has stripped off ``path``
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
"""A path segment that needs no encoding in a URL."""
DEEPEST = 8
"""Maximum number of leading path segments that are searched for a mount."""


def locate(scope: Scope) -> Scope:
    """Return a scope whose ``path`` begins with its ``root_path``, or the same scope if the two cannot be reconciled.

    Only the text in front of the route changes, so no path can lead to a route that the host's own routing has not
    chosen.
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
    """Split ``root`` into the prefix that a proxy stripped off ``path`` and the mount that ``path`` begins with."""
    if _begins(path, root):
        return "", root
    # Starlette stores the root_path from before its own mounts were added.
    mount = root.removeprefix(app_root)
    if _is_plain(app_root) and mount != root and mount.startswith("/") and _begins(path, mount):
        return app_root, mount
    return "", None


def _cut(raw_path: bytes | None, path: str) -> tuple[str, str]:
    """Return the prefix that a host has cut off the client's path, and ``path`` with the client's slashes."""
    if not raw_path:
        return "", path
    raw = unquote(raw_path.partition(b"?")[0].decode("latin-1"))
    if raw == path or not raw.startswith("/"):
        return "", path
    # Compared by segments, because hosts also collapse slashes.
    sent, left = _parts(raw), _parts(path)
    cut = sent[: len(sent) - len(left)]
    front = "/" + "/".join(cut) if cut else ""
    if cut + left != sent or (cut and not (_is_plain(front) and path.startswith("/"))):
        return "", path
    if left and not raw.endswith("/"):
        path = path.rstrip("/")
    # The host cuts a mount at / off with its slash.
    return front, path if path.startswith("/") else f"/{path}"


def _is_plain(front: str) -> bool:
    """Return whether a text can be the prefix of links without encoding."""
    empty, *parts = front.split("/")
    return not empty and bool(parts) and all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _begins(path: str, root: str) -> bool:
    return (path + "/").startswith(root + "/")


def unnamed_mount(scope: Scope, routes: Sequence[Route]) -> str | None:
    """Return the prefix of an unmatched path that is followed by a route, as under an undeclared mount."""
    parts = get_route_path(scope).split("/")
    for at in range(2, min(len(parts), DEEPEST + 1)):
        if not parts[at - 1]:
            break
        rest = {**scope, "root_path": "", "path": "/" + "/".join(parts[at:])}
        if any(route.matches(rest)[0] is Match.FULL for route in routes):
            return "/".join(parts[:at])
    return None
