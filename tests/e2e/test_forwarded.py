"""Proxies from which a served gate accepts the address of the client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate import MediaGate
from mediagate.cli.server import serve
from mediagate.errors import ConfigError
from tests.support import loopback
from tests.support.server import Server, running

ALLOWED = 5
GUESSES = 20
HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP")


def guess(server: Server, header: str) -> Counter[int]:
    """Guess API keys, each with a different forwarded address; returns the counts of statuses."""
    answers = Counter[int]()
    with loopback.client(timeout=30) as client:
        for number in range(GUESSES):
            somebody = f"203.0.113.{number + 1}"
            named = f"for={somebody}" if header == "Forwarded" else somebody
            key = f"mg_live_{number:026d}_{number:032d}"
            answer = client.get(f"{server.url}/jobs", headers={header: named, "X-API-Key": key})
            answers[answer.status_code] += 1
    return answers


@pytest.mark.parametrize(
    ("options", "env", "believed"),
    [
        ([], {}, False),
        (["--forwarded-allow-ips", "*"], {}, True),
        ([], {"FORWARDED_ALLOW_IPS": "10.0.0.1, 127.0.0.0/8"}, True),
        ([], {"TRUSTED_PROXIES": "127.0.0.1"}, True),
    ],
    ids=["by default", "all", "environment", "trusted_proxies"],
)
def test_forwarded_header_is_trusted_only_from_configured_proxies(
    options: list[str], env: dict[str, str], believed: bool, tmp_path: Path
) -> None:
    settings = {"MEDIAGATE_WORKER": "false", "FORWARDED_ALLOW_IPS": "", **env}
    with running("keyed_and_limited_gate:gate", tmp_path / "data", options=options, **settings) as server:
        expected = {401: GUESSES} if believed else {401: ALLOWED, 429: GUESSES - ALLOWED}
        assert guess(server, "X-Forwarded-For") == expected
        if not options and not env:
            for header in HEADERS[1:]:
                assert guess(server, header) == {429: GUESSES}


@pytest.mark.parametrize("proxies", ["10.0.0.1/8", "proxy.example", "*,10.0.0.1"])
def test_forwarded_allow_ips_rejects_invalid_proxies(proxies: str, make_gate: Callable[..., MediaGate]) -> None:
    with pytest.raises(ConfigError, match=r"--forwarded-allow-ips: .* use addresses or networks"):
        serve(make_gate(), host="127.0.0.1", port=0, mount="/x", forwarded_allow_ips=proxies)
