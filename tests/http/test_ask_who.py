"""The question who asks: its answers, its errors and the hooks around it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from mediagate import Action, Principal
from mediagate.errors import Forbidden, Unauthorized
from mediagate.http.access import ask_owner, ask_who
from mediagate.parts import Parts
from tests.support.bare_parts import bare_parts

pytestmark = pytest.mark.anyio


def a_request() -> Request:
    return Request({"type": "http", "method": "GET", "path": "/", "headers": [], "state": {}})


Call = tuple[str, Request, Action]


def asks(answer: object) -> tuple[Parts, list[Call]]:
    """Return parts whose callers are told by ``answer``, and what was called in which order."""
    calls: list[Call] = []

    async def authorize(request: Request, action: Action) -> Any:
        calls.append(("authorize", request, action))
        if isinstance(answer, Exception):
            raise answer
        return answer

    parts = bare_parts(authorize=authorize)
    for name in ("pre_authorize", "on_unauthorized"):

        async def hook(request: Request, action: Action, name: str = name) -> None:
            calls.append((name, request, action))

        parts.hooks.add(name, hook)
    return parts, calls


async def test_ask_who_asks_nobody_without_authorize() -> None:
    request = a_request()
    assert await ask_who(bare_parts(), request, Action.ADMIN) is None
    assert await ask_owner(bare_parts(), request, Action.READ) is None
    assert request.state.principal is None


async def test_ask_who_returns_the_principal_and_leaves_it_with_the_request() -> None:
    ann = Principal("ann")
    parts, calls = asks(ann)
    request = a_request()
    assert await ask_who(parts, request, Action.READ) is ann
    assert request.state.principal is ann
    assert calls == [("pre_authorize", request, Action.READ), ("authorize", request, Action.READ)]


async def test_ask_who_tells_the_hook_of_a_caller_whom_nobody_knows() -> None:
    for answer in (None, Unauthorized("no such key")):
        parts, calls = asks(answer)
        request = a_request()
        with pytest.raises(Unauthorized, match="no such key" if answer else "authentication required"):
            await ask_who(parts, request, Action.DELETE)
        assert calls[-1] == ("on_unauthorized", request, Action.DELETE)
        assert request.state.principal is None


async def test_ask_who_tells_no_hook_of_a_known_caller_who_may_not() -> None:
    parts, calls = asks(Forbidden("not you"))
    with pytest.raises(Forbidden, match="not you"):
        await ask_who(parts, a_request(), Action.UPLOAD)
    assert [name for name, _, _ in calls] == ["pre_authorize", "authorize"]


@pytest.mark.parametrize("action", list(Action))
async def test_ask_who_lets_admins_alone_administer(action: Action) -> None:
    ann, root = Principal("ann"), Principal("root", admin=True)
    parts, _ = asks(root)
    assert await ask_who(parts, a_request(), action) is root
    parts, _ = asks(ann)
    request = a_request()
    if action is not Action.ADMIN:
        assert await ask_who(parts, request, action) is ann
        return
    with pytest.raises(Forbidden, match="only an admin may do this"):
        await ask_who(parts, request, action)
    assert request.state.principal is None


async def test_ask_who_refuses_what_is_not_a_principal() -> None:
    parts, _ = asks("ann")
    request = a_request()
    with pytest.raises(TypeError, match="must return a Principal or None, not str"):
        await ask_who(parts, request, Action.READ)
    assert request.state.principal is None


async def test_ask_owner_keeps_all_but_admins_to_their_own() -> None:
    parts, calls = asks(Principal("ann"))
    assert await ask_owner(parts, a_request(), Action.READ) == "ann"
    assert [action for _, _, action in calls] == [Action.READ] * 2
    parts, _ = asks(Principal("root", admin=True))
    assert await ask_owner(parts, a_request(), Action.READ) is None
