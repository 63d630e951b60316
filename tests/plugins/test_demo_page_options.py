"""Options of the demo page; what a person sees of it is tested in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediagate import MediaGate, Settings, Source
from mediagate.errors import PluginError
from mediagate_plugins.demo_page import demo_page

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "options",
    [
        {"path": "try/"},
        {"path": "/try"},
        {"path": "/{name}/"},
        {"image_origins": ["cdn.example"]},
        {"image_origins": ["https://cdn.example/pictures"]},
        {"image_origins": ["https://cdn.example; script-src *"]},
        {"upload_origins": ["bucket.example"]},
    ],
)
async def test_a_path_or_an_origin_that_is_none_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    gate = MediaGate(sources={"post": Source()}, settings=Settings(data_dir=tmp_path), moderation="off")
    gate.register(demo_page, **options)
    with pytest.raises(PluginError, match=r"demo_page: .*such as"):
        await gate.open()
