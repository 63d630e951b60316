"""Structural rules of the project that no linter checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    p
    for root in ("service/mediagate", "plugins/mediagate_plugins")
    for p in (ROOT / root).rglob("*.py")
    if "records/client" not in p.as_posix()
]
ONE_HOME: dict[str, str | tuple[str, ...]] = {
    "PIL": ("mediagate/images/pixels", "mediagate/images/operations"),
    "pillow_heif": "mediagate/images/pixels",
    "pypdfium2": "mediagate/images/pixels/pdfium",
    "multipart": "mediagate/intake/multipart",
    "prisma": "mediagate/records",
    "deno": "mediagate/records/runtime",
    "asyncpg": "mediagate/records",
    "httpx": "mediagate/records",
    "cv2": "mediagate/images/operations/enhance/opencv",
    "oxipng": "mediagate/images/operations/output/recompression",
    "pydantic": ("mediagate/config", "mediagate/images/operations"),
    "pydantic_settings": "mediagate/config",
    "uvicorn": "mediagate/cli/server",
    "h11": "mediagate/cli/server",
    "redis": "mediagate_plugins/rate_limit/redis_counters",
    "onnxruntime": "mediagate_plugins/onnx_moderation",
    "numpy": ("mediagate_plugins/onnx_moderation", "mediagate/images/operations"),
    "rapidocr": "mediagate/images/operations/ocr/rapid",
    "tesserocr": "mediagate/images/operations/ocr/tesseract",
    "procrastinate": "mediagate_plugins/procrastinate_queue",
    "psycopg": "mediagate_plugins/procrastinate_queue",
    "celery": "mediagate_plugins/celery_queue",
    "kombu": "mediagate_plugins/celery_queue",
    "amqp": "mediagate_plugins/celery_queue",
    "httpcore2": "mediagate/outbound/client",
    "boto3": "mediagate_plugins/s3_storage",
    "botocore": "mediagate_plugins/s3_storage",
    "prometheus_client": "mediagate_plugins/metrics",
    "opentelemetry": "mediagate_plugins/tracing",
}
"""Each third-party library is imported in one module or one folder only; a second one is named here."""

PUBLIC = ("errors", "operations", "storage", "records", "observe", "outbound", "cli", "testing")
"""Public modules of ``mediagate`` that plugins may import, as listed in docs/reference/python.md."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_libraries_are_imported_in_one_place_only() -> None:
    assert len(SOURCES) > 20
    for path in SOURCES:
        place = path.relative_to(ROOT / path.relative_to(ROOT).parts[0]).as_posix().removesuffix(".py")
        for name in set(imports(path)):
            if name == "typer":
                assert place.startswith("mediagate/cli/") or place.endswith("/commands"), f"{place} imports {name}"
            elif name in ONE_HOME:
                homes = ONE_HOME[name]
                homes = (homes,) if isinstance(homes, str) else homes
                assert any(place == home or place.startswith(home + "/") for home in homes), f"{place} imports {name}"
            elif name not in ("mediagate", "mediagate_plugins", "starlette", "anyio", "__future__"):
                assert name in sys.stdlib_module_names, f"{place} imports {name}: give it a home here"


def test_modules_have_at_most_300_lines() -> None:
    long = {p.name: n for p in SOURCES if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def private_imports(source: str) -> Iterator[str]:
    """Yield the non-public names of the core that a plugin's source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
            yield from (m for m in modules if m.startswith("mediagate.") and m.partition(".")[2] not in PUBLIC)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "mediagate":
            below = node.module.partition(".")[2]
            if below and below not in PUBLIC:
                yield node.module
                continue
            public = {*import_module(node.module).__all__, *(() if below else PUBLIC)}
            yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name not in public)


def test_plugins_import_only_public_names() -> None:
    plugins = [path for path in SOURCES if "mediagate_plugins" in path.parts]
    assert len(plugins) > 20
    found = {path.as_posix(): names for path in plugins if (names := list(private_imports(path.read_text())))}
    assert not found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from mediagate import MediaGate, errors, plugin", []),
        ("from mediagate.records import Database\nimport mediagate.storage", []),
        ("from mediagate_plugins.nudenet import nudenet", []),
        ("from mediagate.jobs import Worker", ["mediagate.jobs"]),
        ("from mediagate.outbound.client import Poster", ["mediagate.outbound.client"]),
        ("from mediagate.records import queries", ["mediagate.records.queries"]),
        ("from mediagate import http", ["mediagate.http"]),
        ("import mediagate.config", ["mediagate.config"]),
        ("def late():\n    from mediagate.values import utcnow", ["mediagate.values"]),
    ],
)
def test_private_imports_finds_non_public_names(source: str, found: list[str]) -> None:
    assert list(private_imports(source)) == found


def test_python_page_lists_the_public_modules() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    listed = re.findall(r"^\| \[?`mediagate\.?(\w*)`", page, re.M)
    assert listed == ["", *PUBLIC]


def test_image_process_loads_neither_web_nor_database_code() -> None:
    program = (
        "import sys, importlib; from mediagate.images import process; importlib.import_module(process.RENDERING); "
        "from mediagate.images import pixels; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "mediagate.images.render" in loaded
    assert not {"starlette", "uvicorn", "prisma", "mediagate.records", "mediagate.http"} & set(loaded)
