"""The forms of errors below the paths of plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mediagate import MediaGate
from mediagate.errors import MediagateError, PluginError
from tests.support.mounted import client_of

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]


def form(name: str) -> Callable[[MediagateError], tuple[int, Mapping[str, Any]]]:
    return lambda error: (error.status, {name: error.code})


@pytest.mark.parametrize("paths", [("/api", "/api/inner"), ("/api/inner", "/api")])
async def test_nearest_path_decides(make_gate: MakeGate, paths: tuple[str, str]) -> None:
    gate = make_gate()
    for path in paths:
        gate.add_problem_form(path, form(path))
    async with client_of(gate) as client:
        for path, name in (("/api/x", "/api"), ("/api/inner", "/api/inner"), ("/api/inner/x", "/api/inner")):
            assert (await client.post(path)).json() == {name: "not_found"}, path
        assert (await client.post("/apis")).json()["type"] == "urn:mediagate:problem:not_found"


async def test_second_form_of_a_path_is_refused(make_gate: MakeGate) -> None:
    gate = make_gate()
    gate.add_problem_form("/api", form("one"))
    with pytest.raises(PluginError, match="'/api' already has a form"):
        gate.add_problem_form("/api", form("two"))
