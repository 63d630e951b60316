"""Documents in image processes: hostile files end in time, each with its own code, and nothing of them is executed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from mediagate import Source
from mediagate.errors import (
    ImageCrashed,
    ImageTimeout,
    ImageTooLarge,
    MediagateError,
    PasswordRequired,
    UndecodableImage,
    UnsupportedType,
)
from mediagate.images import ImagePool
from mediagate.images.document_wire import receive_unlocked
from mediagate.images.json_shapes import Malformed
from mediagate.images.operations import parse
from mediagate.values import ImageInfo, Produced
from tests.support import forked
from tests.support.documents import (
    PASSWORD,
    a_document,
    colours,
    drawing_of,
    encrypted,
    filled,
    inflating,
    loop_of_pages,
    many,
    objects_of,
    strokes,
    with_script_and_file,
    words,
    written,
)
from tests.support.forked import MIB, image_processes
from tests.support.recipes import OPERATIONS, opened

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SOURCE = Source(formats=("png", "pdf"), visibility="private", ttl=timedelta(hours=1))
RENDER = {"op": "render", "dpi": 150}


pool_of = partial(forked.opened, operations=OPERATIONS)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Callable[[bytes], Path]]:
    def write(data: bytes) -> Path:
        path = tmp_path / f"{time.monotonic_ns()}.pdf"
        path.write_bytes(data)
        return path

    yield write


async def rendered(pool: ImagePool, data: bytes, *steps: dict[str, Any], page: int = 1, **render: Any) -> Produced:
    recipe = parse([{**RENDER, **render}, *steps], OPERATIONS)
    return await pool.run_pipeline(data, recipe, SOURCE, page=page)


HOSTILE: dict[str, tuple[Callable[[], bytes], type[MediagateError]]] = {
    "truncated": (lambda: colours()[:400], UndecodableImage),
    "junk behind the header": (lambda: b"%PDF-1.7\n" + os.urandom(5000), UndecodableImage),
    "header alone": (lambda: b"%PDF-1.7\n", UndecodableImage),
    "no pages": (lambda: written({**objects_of(b""), 2: b"<< /Type /Pages /Kids [] /Count 0 >>"}), UndecodableImage),
    "pages that contain themselves": (loop_of_pages, UndecodableImage),
    "encrypted": (lambda: encrypted(objects_of(b"")), PasswordRequired),
    "pages that are missing": (
        lambda: written({**objects_of(b""), 2: b"<< /Type /Pages /Kids [99 0 R] /Count 1 >>"}),
        UndecodableImage,
    ),
    "more pages than there can be": (
        lambda: written({**objects_of(b""), 2: b"<< /Type /Pages /Kids [] /Count 2147483647 >>"}),
        UndecodableImage,
    ),
    "not a document": (lambda: b"<html>%PDF-1.7", UnsupportedType),
}


async def test_broken_documents_are_refused_by_their_header_and_by_their_page(file: Callable[[bytes], Path]) -> None:
    async with pool_of() as pool:
        before = image_processes()
        for name, (make, error) in HOSTILE.items():
            for attempt in (pool.probe(file(make()), SOURCE), rendered(pool, make())):
                with pytest.raises(error) as refused:
                    await attempt
                assert not refused.value.retryable, name
        assert image_processes() == before, "a document ended a process"


async def test_header_tells_the_pages_and_the_size(file: Callable[[bytes], Path]) -> None:
    async with pool_of() as pool:
        assert await pool.probe(file(colours()), SOURCE) == ImageInfo("pdf", 200, 100, 3)
        began = time.monotonic()
        assert (await pool.probe(file(many(10_000)), SOURCE)).frames == 10_000
        assert time.monotonic() - began < 5
        huge = await pool.probe(file(a_document(size=(14_400, 14_400))), SOURCE)
        assert 40_000_000 < huge.width * huge.height <= SOURCE.max_pixels
        with pytest.raises(UnsupportedType, match="PDF files are not accepted here"):
            await pool.probe(file(colours()), Source())


async def test_page_of_900_megapixels_is_rendered_within_the_limit() -> None:
    async with pool_of(memory_bytes=1024 * MIB) as pool:
        source = SOURCE.model_copy(update={"max_pixels": 4_000_000})
        data = a_document(filled(1, 0, 0, (14_400, 14_400)), size=(14_400, 14_400))
        recipe = parse([RENDER, {"op": "resize", "width": 10}], OPERATIONS)
        produced = await pool.run_pipeline(data, recipe, source, page=1)
        assert [warning.code for warning in produced.warnings] == ["resolution_reduced"]
        assert 3_900_000 < produced.info.width * produced.info.height <= 4_000_000


async def test_page_that_takes_too_long_ends_by_the_time_limit_of_an_image() -> None:
    async with pool_of(timeout_s=1.5) as pool:
        began = time.monotonic()
        with pytest.raises(ImageTimeout) as late:
            await rendered(pool, strokes(300_000))
        assert time.monotonic() - began < 10
        assert (late.value.step, late.value.op) == (0, "render")
        assert (await rendered(pool, colours())).outputs, "no new process took over"


async def test_each_page_has_the_time_limit_of_its_own() -> None:
    data = written({**objects_of(filled(1, 0, 0), b""), 7: drawing_of(strokes(300_000))})
    async with pool_of(timeout_s=1.5) as pool:
        assert (await rendered(pool, data, page=1)).outputs
        with pytest.raises(ImageTimeout):
            await rendered(pool, data, page=2)


@pytest.mark.parametrize("size", [(0, 0), (1e38, 1e38)])
async def test_page_without_a_usable_size_has_that_of_a_letter(size: tuple[float, float]) -> None:
    async with pool_of() as pool:
        produced = await rendered(pool, a_document(size=size), {"op": "resize", "width": 9}, dpi=72)
        assert (produced.info.width, produced.info.height) == (612, 792)


async def test_drawing_that_inflates_stays_within_the_memory_of_an_image() -> None:
    async with pool_of(memory_bytes=128 * MIB, timeout_s=8) as pool:
        # PDFium stops inflating, or ends its process for lack of memory.
        with suppress(ImageCrashed, ImageTooLarge, ImageTimeout, UndecodableImage):
            await rendered(pool, inflating(1 << 29), {"op": "resize", "width": 9})
        assert (await rendered(pool, colours(), {"op": "resize", "width": 9})).outputs


async def test_scripts_and_files_of_a_document_reach_no_output() -> None:
    pdf = {"op": "save", "format": "pdf"}
    async with pool_of() as pool:
        produced = await rendered(pool, with_script_and_file(), pdf)
    (output,) = produced.outputs
    for word in (b"MARK", b"JavaScript", b"/JS", b"Launch", b"EmbeddedFile", b"OpenAction", b"/AA"):
        assert word not in output.data
    assert output.format == "pdf"


async def test_document_is_rendered_within_the_walls() -> None:
    async with pool_of() as pool:
        assert pool.walls is not None and not pool.walls.missing
        produced = await rendered(pool, colours(), {"op": "read_text"}, {"op": "save", "format": "png"}, page=2)
        assert produced.data[0].value["text"] == "two"
        assert opened(produced.outputs[0]).size == (417, 209)


async def test_encrypted_document_is_unlocked_with_its_password_alone(file: Callable[[bytes], Path]) -> None:
    drawings = filled(0, 1, 0) + words("hidden")
    path = file(encrypted(objects_of(drawings, drawings)))
    async with pool_of() as pool:
        assert (await pool.probe(path, SOURCE, PASSWORD)).frames == 2
        copy = await pool.unlock(path, SOURCE, PASSWORD)
        assert b"/Encrypt " not in copy.partition(b"trailer")[2] and PASSWORD.encode() not in copy
        assert (await pool.probe(file(copy), SOURCE)).frames == 2
        produced = await rendered(pool, copy, {"op": "read_text"}, page=2)
        assert produced.data[0].value["text"] == "hidden"
        for wrong in ("", "wrong", PASSWORD.upper()):
            with pytest.raises(PasswordRequired, match="password"):
                await pool.unlock(path, SOURCE, wrong)


async def test_copy_without_encryption_may_not_be_too_large(file: Callable[[bytes], Path]) -> None:
    path = file(encrypted(objects_of(filled(0, 1, 0))))
    async with pool_of() as pool:
        with pytest.raises(ImageTooLarge, match="without its encryption"):
            await pool.unlock(path, SOURCE.model_copy(update={"max_bytes": 100}), PASSWORD)


UNLOCKED = {"name": "unlocked", "format": "pdf", "width": 200, "height": 100, "data": 9}


@pytest.mark.parametrize(
    ("changes", "file"),
    [
        ({"format": "png"}, b"%PDF-1.7\n"),
        ({"name": "../x"}, b"%PDF-1.7\n"),
        ({"data": 10**9}, b"%PDF-1.7\n"),
        ({"data": 0}, b"%PDF-1.7\n"),
        ({"width": 0}, b"%PDF-1.7\n"),
        ({}, b"<html>abc"),
        ({"data": 8}, b"%PDF-1.7\n"),
    ],
)
def test_malformed_answer_with_an_unlocked_document_is_refused(changes: dict[str, Any], file: bytes) -> None:
    assert unlocked(UNLOCKED, b"%PDF-1.7\n") == b"%PDF-1.7\n"
    with pytest.raises(Malformed):
        unlocked({**UNLOCKED, **changes}, file)


def unlocked(answer: dict[str, Any], file: bytes) -> bytes:
    """Return what the host reads of an answer."""
    here, there = Pipe()
    with here, there:
        there.send_bytes(json.dumps({"answer": answer}).encode())
        there.send_bytes(file)
        return receive_unlocked(here, source=SOURCE)
