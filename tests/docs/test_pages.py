"""The Python blocks of every page run, and the documented commands work."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from starlette.testclient import TestClient

from mediagate import MediaGate
from mediagate.errors import ConfigError
from mediagate.moderation.protocols import ReadsFiles, reads_of
from tests.support.pages import PAGES, python_blocks, run_python, write_files

ELSEWHERE = {
    "docs/explanation/threat-model.md": "test_documented_moderator_declares_the_files_that_it_reads",
    "docs/how-to/cookie-sessions.md": "tests/http/test_csrf.py",
    "docs/how-to/test-your-host.md": "tests/testing/test_isolated.py",
    "docs/tutorials/first-upload.md": "tests/docs/test_tutorials.py",
    "docs/tutorials/avatar.md": "tests/docs/test_tutorials.py",
    "docs/tutorials/first-plugin.md": "tests/docs/test_tutorials.py",
}
"""Pages whose blocks belong together, and the test that runs them."""
QUOTED = '"""mediagate '
"""Files of examples/hosts begin so: test_mounting.py compares them, and tests/e2e/test_hosts.py runs them."""
GPU = "CUDAExecutionProvider"
BLOCKS = [
    (page, number, code)
    for page in PAGES
    if page not in ELSEWHERE
    for number, code in enumerate(python_blocks(page), 1)
    if not code.startswith(QUOTED) and "dictConfig" not in code and GPU not in code
]
OTHERS = {
    "docs/how-to/browser-clients.md": "tests/docs/test_clients_page.py",
    "docs/how-to/cookie-sessions.md": "tests/e2e/test_cors.py",
    "docs/reference/http.md": "tests/e2e/test_cors.py",
    "docs/how-to/rotate-secrets.md": "tests/records/test_database_roles.py",
    "docs/how-to/scale.md": "tests/records/test_documented_removal.py",
    "docs/how-to/variants-and-formats.md": "tests/e2e/test_picture_element.py",
    "docs/tutorials/avatar.md": "tests/docs/test_tutorials.py",
}
"""Pages with blocks of JavaScript, HTML or SQL, and the test that runs them or compares them with what is run."""


def save_model(path: Path) -> None:
    """Write a classifier of three labels that scores the mean of each channel."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Softmax", ["flat"], ["y"]),
        ],
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.parametrize(("page", "number", "code"), BLOCKS, ids=[f"{page}-{number}" for page, number, _ in BLOCKS])
def test_python_block_runs(
    page: str, number: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIAGATE_IMAGE_PROCESSES", "1")
    (tmp_path / "photo.jpg").write_bytes((data / "formats" / "hopper.jpg").read_bytes())
    if "model.onnx" in code:
        save_model(tmp_path / "model.onnx")
    if write_files(page, tmp_path):
        return
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, page, "exec"), names)
    if "main" in names:
        asyncio.run(names["main"]())
    elif "app" in names:
        assert published(names["app"], (data / "moderation" / "chelsea.png").read_bytes())
    else:
        assert isinstance(names["gate"], MediaGate)
        asyncio.run(boots(names["gate"]))


def published(app: Any, picture: bytes) -> bool:
    """Upload a picture to the app of a page, and return whether it was published."""
    with TestClient(app) as client:
        form = {"sourceType": "avatar", "sourceId": "user-1"}
        sent = client.post("/image-pipeline/upload", data=form, files={"file": ("a.png", picture)})
        assert sent.status_code == 202, sent.text
        end = time.monotonic() + 30
        while (done := client.get(sent.json()["statusUrl"])).status_code == 202 and time.monotonic() < end:
            time.sleep(0.1)
    return bool(done.json()["status"] == "COMPLETE")


def test_documented_moderator_judges_pictures(tmp_path: Path) -> None:
    write_files("docs/how-to/write-a-moderator.md", tmp_path)
    (tmp_path / "program.py").write_text(
        "import asyncio, io\n"
        "from PIL import Image\n"
        "from sky import gate\n"
        "def picture(colour):\n"
        "    file = io.BytesIO(); Image.new('RGB', (64, 64), colour).save(file, 'PNG'); return file.getvalue()\n"
        "async def main():\n"
        "    async with gate:\n"
        "        for colour in ('blue', 'red'):\n"
        "            job = await gate.upload(picture(colour), source_type='avatar', source_id='u1')\n"
        "            print((await gate.wait(job.job_id)).status)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    done = run_python("program.py", folder=tmp_path)
    assert done.stdout.split() == ["REJECTED", "COMPLETE"], done.stderr


def test_documented_storage_keeps_every_promise(tmp_path: Path) -> None:
    write_files("docs/how-to/write-a-storage.md", tmp_path)
    (tmp_path / "program.py").write_text(
        "import asyncio\n"
        "from dictionary import gate, main\n"
        "async def boots():\n"
        "    async with gate:\n"
        "        pass\n"
        "asyncio.run(main())\n"
        "asyncio.run(boots())\n"
    )
    done = run_python("program.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_documented_operation_inverts_a_picture(tmp_path: Path) -> None:
    write_files("docs/how-to/write-an-operation.md", tmp_path)
    (tmp_path / "program.py").write_text(
        "import asyncio, io\n"
        "from PIL import Image\n"
        "from inverting import gate\n"
        "async def main():\n"
        "    file = io.BytesIO(); Image.new('RGB', (8, 8), (255, 0, 0)).save(file, 'PNG')\n"
        "    steps = [{'op': 'invert'}, {'op': 'save', 'format': 'png'}]\n"
        "    async with gate:\n"
        "        job = await gate.pipeline(file.getvalue(), steps=steps, source='work')\n"
        "        (output,) = (await gate.wait(job.job_id)).outputs\n"
        "        data = b''.join([piece async for piece in gate.parts.storage.stream(output.key)])\n"
        "    print(*Image.open(io.BytesIO(data)).convert('RGB').getpixel((0, 0)))\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    done = run_python("program.py", folder=tmp_path)
    assert done.stdout.split() == ["0", "255", "255"], done.stderr


async def boots(gate: MediaGate) -> None:
    async with gate:
        pass


def test_documented_gpu_provider_stops_the_boot_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIAGATE_IMAGE_PROCESSES", "1")
    (code,) = [code for code in python_blocks("docs/how-to/moderate-with-your-model.md") if GPU in code]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "moderate-with-your-model.md", "exec"), names)
    with pytest.raises(ConfigError, match=GPU):
        asyncio.run(boots(names["gate"]))


def test_documented_moderator_declares_the_files_that_it_reads() -> None:
    (code,) = python_blocks("docs/explanation/threat-model.md")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "threat-model.md", "exec"), names)
    assert isinstance(names["Mine"](), ReadsFiles)
    assert Path("/srv/models/mine.onnx") in reads_of(names["Mine"]())


def test_blocks_of_other_languages_are_run_by_a_test_of_their_own() -> None:
    found = {page for page, text in PAGES.items() if re.search(r"^```(js|html|sql)$", text, re.M)}
    assert found == set(OTHERS)


def test_pages_with_files_are_run_by_a_test_of_their_own() -> None:
    with_files = {page for page, _, code in BLOCKS if re.match(r"# \w+\.py\n", code)}
    assert with_files == {
        "docs/how-to/move-to-a-bucket.md",  # tests/e2e/test_move_to_bucket.py
        "docs/how-to/write-a-moderator.md",
        "docs/how-to/write-a-storage.md",
        "docs/how-to/write-an-operation.md",
    }
