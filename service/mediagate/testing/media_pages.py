"""The conformance check of records for pages of media."""

from __future__ import annotations

import secrets
from datetime import datetime

from mediagate.errors import InvalidParameter
from mediagate.records import Records
from mediagate.testing.record_samples import HOSTILE, LEASE, MOMENT, expect, published_media, same
from mediagate.values import Media

BAD_CURSORS = ("", "x", "1", "1.", ".med_1", "-1.med_1", "1.5.\x00", "1.\ud800", "٣.med_1", f"{10**20}.med_1", "1.a b")


async def check_media_pages(records: Records, now: datetime) -> None:
    """Check the promises about pages; raises ``AssertionError`` with the broken one."""
    one, other = secrets.token_hex(8), secrets.token_hex(8)
    kind = f"kind-{one}"
    made = [
        await published_media(records, now + n // 4 * MOMENT, source_type=kind, source_id=other if n % 3 else one)
        for n in range(12)
    ]
    made.sort(key=lambda m: (m.created_at, m.id), reverse=True)
    page = await records.list_media(kind, None, limit=50)
    same(
        (page.items, page.next_cursor),
        (tuple(made), None),
        "list_media() must return all media of a type, newest first",
    )
    page = await records.list_media(kind, one, limit=12)
    same(page.items, tuple(m for m in made if m.source_id == one), "list_media() must filter by source id")
    for stranger in (await records.list_media(kind, HOSTILE, limit=5), await records.list_media("none", None, limit=5)):
        same((stranger.items, stranger.next_cursor), ((), None), "list_media() without media must be one empty page")
    full = await records.list_media(kind, None, limit=12)
    same(full.next_cursor, None, "the last page must have no next_cursor")
    seen: list[Media] = []
    cursor: str | None = None
    deleted: list[Media] = []
    for turn in range(20):
        page = await records.list_media(kind, None, limit=3, cursor=cursor)
        seen += page.items
        if turn == 0:
            deleted = [made[2], made[4]]  # the last one seen, which the cursor names, and one of a later page
            for media in deleted:
                expect(await records.delete_media(media.id), "delete_media() must be True")
            await published_media(records, now + LEASE, source_type=kind, source_id=one)
        cursor = page.next_cursor
        if cursor is None:
            break
    same(
        seen,
        [m for m in made if m is not made[4]],
        "pages must neither repeat nor skip with equal times and media added and deleted in between",
    )
    await _check_offsets(records, kind)
    for bad in BAD_CURSORS:
        try:
            await records.list_media(kind, None, limit=3, cursor=bad)
        except InvalidParameter:
            continue
        expect(False, f"list_media() with the cursor {bad!r} must raise InvalidParameter")


async def _check_offsets(records: Records, kind: str) -> None:
    everything = (await records.list_media(kind, None, limit=50)).items
    for offset in (0, 1, 7, len(everything), 9_999):
        page = await records.list_media(kind, None, limit=3, offset=offset)
        same(page.items, everything[offset : offset + 3], "list_media() must skip as many media as its offset")
        same(page.total, len(everything), "list_media() with an offset must count the media of all pages")
        same(page.next_cursor is None, offset + 3 >= len(everything), "only the last page must have no next_cursor")
    page = await records.list_media(kind, everything[0].source_id, limit=1, offset=0)
    wanted = sum(media.source_id == everything[0].source_id for media in everything)
    same(page.total, wanted, "the total of list_media() must count what its filters leave")
    same((await records.list_media(kind, None, limit=1)).total, None, "without an offset there must be no total")
