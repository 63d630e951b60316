"""Settings errors name the environment variable and the accepted values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediagate import Settings
from mediagate.config import unknown_variables
from mediagate.errors import ConfigError


@pytest.mark.parametrize("name", ["public_base_url", "public_url"])
@pytest.mark.parametrize(
    "url",
    ["app.example.com", "//app.example.com/m", "/media", "ftp://app.example.com", "https://", "https:///m", "a b"],
)
def test_url_setting_without_scheme_or_host_is_refused(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"^MEDIAGATE_{name.upper()}: .*https://"):
        Settings(**{name: url})


@pytest.mark.parametrize("url", ["https://app.example.com", "http://127.0.0.1:8000/a/b/", "HTTPS://[::1]/x"])
def test_url_setting_accepts_absolute_urls(url: str) -> None:
    assert Settings(public_base_url=url, public_url=url).public_base_url == url
    assert Settings(public_base_url="").public_base_url is None


@pytest.mark.parametrize(
    ("name", "value"), [("lease_s", "soon"), ("image_processes", 0), ("orphan_grace_s", "ever"), ("data_dir", 7)]
)
def test_config_error_names_the_environment_variable(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^MEDIAGATE_{name.upper()}: "):
        Settings(**{name: value})


def test_config_error_lists_all_problems_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDIAGATE_MAX_QUEUE", "-1")
    monkeypatch.setenv("MEDIAGATE_POLL_AFTER_MS", "often")
    with pytest.raises(ConfigError) as caught:
        Settings(data_dir=tmp_path)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "MEDIAGATE_MAX_QUEUE",
        "MEDIAGATE_POLL_AFTER_MS",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MEDIAGATE_DATABASE_URI", "did you mean MEDIAGATE_DATABASE_URL?"),
        ("MEDIAGATE_IMAGE_PROCESES", "did you mean MEDIAGATE_IMAGE_PROCESSES?"),
        ("mediagate_max_atempts", "did you mean MEDIAGATE_MAX_ATTEMPTS?"),
        ("MEDIAGATE_GATES", "did you mean MEDIAGATE_GATE?"),
        ("MEDIAGATE_XYZZY", "is not a setting; it is ignored"),
    ],
)
def test_unknown_variable_is_reported_with_a_suggestion(name: str, said: str) -> None:
    (sentence,) = unknown_variables({name: "1", "MEDIAGATE_LEASE_S": "5", "mediagate_worker": "no", "LEASES_S": "5"})
    assert sentence.startswith(name) and said in sentence


def test_variables_of_kubernetes_and_the_command_are_not_reported() -> None:
    kubernetes = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR")
    others = [f"MEDIAGATE_{middle}{end}" for middle in ("", "WEB_") for end in kubernetes]
    own = ("MEDIAGATE_GATE", "MEDIAGATE_LOG", "MEDIAGATE_DATA_DIR")
    assert unknown_variables(dict.fromkeys([*others, *own, "PATH"], "x")) == []
