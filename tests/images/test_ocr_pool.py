"""ocr in image processes: walls, memory, and the replacement of processes whose libraries keep memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from PIL import Image

from mediagate import Source
from mediagate.errors import ImageTooLarge
from mediagate.images import ImagePool, group
from mediagate.images.operations import parse
from mediagate.observe import ImageProcessEnd, Observer
from mediagate.values import Produced
from tests.support.charts import saved
from tests.support.forked import MIB, SHARED, image_processes
from tests.support.printed import LINES, page
from tests.support.recipes import OPERATIONS
from tests.support.tessdata import need_language

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


class Ends(Observer):
    """Collects why processes ended."""

    def __init__(self) -> None:
        self.reasons: list[ImageProcessEnd] = []

    def image_process_ended(self, why: ImageProcessEnd) -> None:
        self.reasons.append(why)


@asynccontextmanager
async def pool_of(memory_bytes: int, observer: Observer | None = None) -> AsyncIterator[ImagePool]:
    pool = ImagePool(
        processes=1,
        memory_bytes=memory_bytes,
        timeout_s=60,
        moderator=None,
        server=SHARED,
        operations=OPERATIONS,
        observer=observer or Observer(),
    )
    try:
        await pool.open()
        yield pool
    finally:
        await pool.close()


async def read(pool: ImagePool, image: Image.Image, engine: str = "rapidocr") -> Produced:
    recipe = parse([{"op": "ocr", "engine": engine}], OPERATIONS)
    return await pool.run_pipeline(saved(image, "JPEG", quality=92), recipe, Source())


async def test_ocr_reads_a_page_of_12_megapixels_in_512_mib() -> None:
    large = page(letters=110, size=(4000, 3000))
    async with pool_of(512 * MIB) as pool:
        assert pool.walls is not None and not pool.walls.missing
        produced = await read(pool, large)
        assert produced.data[0].value["text"] == "\n".join(LINES)
        before = image_processes()
        assert (await read(pool, large)).data[0].value["text"] == "\n".join(LINES)
        assert image_processes() == before


async def test_ocr_by_tesseract_runs_within_the_walls() -> None:
    need_language("eng")
    async with pool_of(512 * MIB) as pool:
        produced = await read(pool, page(), "tesseract")
        assert produced.data[0].value["text"].split() == " ".join(LINES).split()


async def test_ocr_that_needs_more_memory_than_an_image_may_use_is_refused() -> None:
    async with pool_of(256 * MIB) as pool:
        with pytest.raises(ImageTooLarge, match="more memory"):
            await read(pool, page())


async def test_process_is_replaced_after_many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_WEAR", 2)
    ends, small = Ends(), page(LINES[:1], size=(700, 120))
    async with pool_of(512 * MIB, ends) as pool:
        await read(pool, small)
        first = image_processes()
        await pool.run_pipeline(saved(small, "PNG"), parse([{"op": "flip"}], OPERATIONS), Source())
        assert image_processes() == first and ends.reasons == []
        await read(pool, small)
        assert ends.reasons == ["worn"]
        assert (await read(pool, small)).data[0].value["text"] == LINES[0]
        assert image_processes() != first
