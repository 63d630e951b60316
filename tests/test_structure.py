"""The rules of the house that a linter does not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [
    p
    for root in ("service/mediagate", "plugins/mediagate_plugins")
    for p in (ROOT / root).rglob("*.py")
    if "records/client" not in p.as_posix()
]
ONE_HOME = {
    "PIL": "mediagate/images/pixels",
    "pillow_heif": "mediagate/images/pixels",
    "multipart": "mediagate/intake/multipart",
    "prisma": "mediagate/records",
    "asyncpg": "mediagate/records",
    "httpx": "mediagate/records",
    "pydantic": "mediagate/config",
    "pydantic_settings": "mediagate/config",
    "uvicorn": "mediagate/cli/server",
    "h11": "mediagate/cli/server",
    "redis": "mediagate_plugins/rate_limit/redis_counters",
    "onnxruntime": "mediagate_plugins/onnx_moderation",
    "numpy": "mediagate_plugins/onnx_moderation",
    "procrastinate": "mediagate_plugins/procrastinate_queue",
    "psycopg": "mediagate_plugins/procrastinate_queue",
    "celery": "mediagate_plugins/celery_queue",
    "kombu": "mediagate_plugins/celery_queue",
    "amqp": "mediagate_plugins/celery_queue",
    "httpcore2": "mediagate/outbound/post",
    "boto3": "mediagate_plugins/s3_storage",
    "botocore": "mediagate_plugins/s3_storage",
    "prometheus_client": "mediagate_plugins/metrics",
    "opentelemetry": "mediagate_plugins/tracing",
}
"""Each library that does heavy work is imported in one module (or one folder) only."""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_each_library_has_one_home() -> None:
    assert len(SOURCES) > 20
    for path in SOURCES:
        place = path.relative_to(ROOT / path.relative_to(ROOT).parts[0]).as_posix().removesuffix(".py")
        for name in set(imports(path)):
            if name == "typer":
                assert place.startswith("mediagate/cli/") or place.endswith("/commands"), f"{place} imports {name}"
            elif name in ONE_HOME:
                assert place == ONE_HOME[name] or place.startswith(ONE_HOME[name] + "/"), f"{place} imports {name}"
            elif name not in ("mediagate", "mediagate_plugins", "starlette", "anyio", "__future__"):
                assert name in sys.stdlib_module_names, f"{place} imports {name}: give it a home here"


def test_no_module_has_grown_beyond_one_concept() -> None:
    long = {p.name: n for p in SOURCES if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_image_process_loads_neither_web_nor_database_code() -> None:
    program = (
        "import sys, importlib; from mediagate.images import process; importlib.import_module(process.RENDERING); "
        "from mediagate.images import pixels; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "mediagate.images.render" in loaded
    assert not {"starlette", "uvicorn", "prisma", "mediagate.records", "mediagate.http"} & set(loaded)
