"""README: its tables are complete and its code blocks run."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import mediagate.errors
from mediagate import MediaGate, Settings, Source
from mediagate.errors import MediagateError
from mediagate.kernel.hooks import HOOK_NAMES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def first_column() -> set[str]:
    return set(re.findall(r"^\| `([\w]+)` \|", README, re.M))


def error_classes(base: type[MediagateError] = MediagateError) -> Iterator[type[MediagateError]]:
    yield base
    for below in base.__subclasses__():
        yield from error_classes(below)


def test_readme_has_a_row_for_every_hook_setting_and_source_option() -> None:
    rows = first_column()
    assert set(HOOK_NAMES) <= rows
    assert set(Settings.model_fields) <= rows
    assert set(Source.model_fields) <= rows


def test_readme_documents_every_error_code_with_its_status() -> None:
    for error in error_classes():
        assert re.search(rf"\| `{error.code}` \| ({error.status}|yes|no) \|", README) or f"`{error.code}`" in README, (
            error
        )
        assert error.__name__ in (mediagate.errors.__doc__ or ""), error


def test_error_codes_are_unique_and_errors_have_docstrings() -> None:
    classes = list(error_classes())
    assert len({e.code for e in classes}) == len(classes)
    assert all(e.__doc__ and e.__doc__.rstrip().endswith(".") for e in classes)


def test_readme_lists_every_extra() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    extras = re.search(r"\[project.optional-dependencies\]\n(.*?)\n\n", pyproject, re.S)
    assert extras
    assert set(re.findall(r"^(\w+) = ", extras[1], re.M)) <= first_column()


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{n}" for n in range(1, len(BLOCKS) + 1)])
def test_readme_code_block_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIAGATE_IMAGE_PROCESSES", "1")
    (tmp_path / "photo.jpg").write_bytes((data / "formats" / "hopper.jpg").read_bytes())
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    if "main" in names:
        asyncio.run(names["main"]())
    elif "app" in names:
        with TestClient(names["app"]) as client:
            form = {"sourceType": "avatar", "sourceId": "user-1"}
            picture = (data / "moderation" / "chelsea.png").read_bytes()
            sent = client.post("/image-pipeline/upload", data=form, files={"file": ("a.png", picture)})
            assert sent.status_code == 202, sent.text
            end = time.monotonic() + 30
            while (done := client.get(sent.json()["statusUrl"])).status_code == 202 and time.monotonic() < end:
                time.sleep(0.1)
            assert done.json()["status"] == "COMPLETE"
    else:
        gate = names["gate"]
        assert isinstance(gate, MediaGate)

        async def boots() -> None:
            async with gate:
                pass

        asyncio.run(boots())
