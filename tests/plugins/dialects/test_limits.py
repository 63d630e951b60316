"""Rate limits as the clients of each dialect meet them: in its own words, with the headers of the native API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mediagate import MediaGate
from mediagate_plugins.dialects.imagehq import imagehq
from mediagate_plugins.dialects.imagepipeline import imagepipeline
from mediagate_plugins.dialects.pictory import pictory
from mediagate_plugins.dialects.productai import productai
from mediagate_plugins.rate_limit import rate_limit
from tests.support.mounted import client_of
from tests.support.pipeline_site import pipeline_gate

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
ANN = {"Authorization": "ann"}
REQUESTS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "imagehq": (imagehq, "/v1/convert", {"output_format": "png"}),
    "imagepipeline": (imagepipeline, "/two", {}),
    "productai": (productai, "/v1/generate", {"model": "two"}),
}
"""The plugin, a path and a request of each dialect that creates jobs."""


def message_of(dialect: str, body: dict[str, Any]) -> tuple[str, str]:
    """Return code and text of an error in a dialect."""
    match dialect:
        case "imagepipeline":
            return body["failure_reason_code"], body["error"]
        case "pictory":
            return body["data"]["error_code"], body["data"]["error_message"]
    return body["error"]["code"], body["error"]["message"]


@pytest.mark.parametrize("dialect", REQUESTS)
async def test_request_beyond_the_limit_is_refused_in_the_words_of_the_dialect(
    make_gate: MakeGate, photo: bytes, dialect: str
) -> None:
    plugin, path, request = REQUESTS[dialect]
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False, "memory": False})
    gate.register(plugin)
    gate.register(rate_limit, per_address="2/day")
    async with client_of(gate) as client:
        form: Any = [("files[]", ("a.jpg", photo)), ("request", (None, json.dumps(request)))]
        answers = [await client.post(f"/{dialect}{path}", files=form, headers=ANN) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 202, 429], answers[0].text
        code, text = message_of(dialect, answers[-1].json())
        assert code == "rate_limited"
        assert text.startswith("the limit for this address is 2/day; try again in ")
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert answers[-1].headers["RateLimit"].startswith('"address-requests-86400";r=0;t=')
        assert (await gate.list_jobs(offset=0)).total == 2


@pytest.mark.parametrize("dialect", [*REQUESTS, "pictory"])
async def test_caller_with_many_wrong_keys_is_refused_in_the_words_of_the_dialect(
    make_gate: MakeGate, dialect: str
) -> None:
    gate = pipeline_gate(make_gate, known=True, settings={"worker": False, "memory": False})
    gate.register(pictory if dialect == "pictory" else REQUESTS[dialect][0])
    gate.register(rate_limit, failures_per_address="2/day")
    paths = {"imagepipeline": "/two/status/job_x", "pictory": "/pictoryapis/v1/jobs/x"}
    async with client_of(gate) as client:
        answers = [await client.get(f"/{dialect}{paths.get(dialect, '/v1/jobs/x')}") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429], answers[0].text
        code, text = message_of(dialect, answers[-1].json())
        assert code == "rate_limited"
        assert "failed authentications of this address is 2/day" in text
        assert int(answers[-1].headers["Retry-After"]) > 0
