"""Media of an open gate: list, get and delete."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from mediagate.api.pages import check_page
from mediagate.api.runtime import Runtime
from mediagate.errors import InvalidParameter, MediaNotFound
from mediagate.jobs import delete_media
from mediagate.records import Records
from mediagate.values import Media, PublishedMedia, published, source_id_text

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page of media, newest first; ``next_cursor`` is the cursor of the next page, ``None`` at the end.

    ``total`` is the number of media on all pages, of a page by offset.
    """

    items: tuple[PublishedMedia, ...]
    next_cursor: str | None
    total: int | None = None


async def list_media(
    runtime: Runtime,
    source_type: str,
    source_id: str | int | None,
    *,
    limit: int,
    cursor: str | None,
    offset: int | None,
    owner: str | None,
    base_url: str,
) -> PublishedPage:
    """Return a page of a source's media with their URLs; raises like ``check_page``."""
    check_page(limit, cursor, offset)
    records = runtime.parts.records
    page = await records.list_media(
        source_type,
        id_text(source_id),
        limit=limit,
        cursor=cursor,
        offset=offset,
        owner_id=owner,
        now=await records.now(),
    )
    url_of = runtime.url_of(base_url)
    return PublishedPage(tuple(published(media, url_of) for media in page.items), page.next_cursor, page.total)


async def get_media(media_id: str, runtime: Runtime, *, owner: str | None, base_url: str) -> PublishedMedia:
    """Return one media with its URLs; raises ``MediaNotFound``, also if it has expired or has another owner."""
    return published(await find_media(media_id, runtime, owner=owner), runtime.url_of(base_url))


async def find_media(media_id: str, runtime: Runtime, *, owner: str | None) -> Media:
    """Return one media; raises like ``get_media``."""
    records = runtime.parts.records
    media = await records.get_media(media_id)
    if media is None or await expired(media, records) or owner not in (None, media.owner_id):
        raise _unknown_media(media_id)
    return media


async def delete_by_id(media_id: str, runtime: Runtime, *, owner: str | None = None) -> None:
    """Delete a media and run ``on_deleted``, unless it is already deleted; raises ``MediaNotFound``."""
    parts = runtime.parts
    media = await parts.records.get_media(media_id)
    if media is None and media_id in await parts.records.jobs_of_media([media_id], owner_id=owner):
        return
    if media is None or owner not in (None, media.owner_id):
        raise _unknown_media(media_id)
    deleted = await delete_media(media, parts)
    runtime.watch.forget(media.job_id)
    if deleted:
        await parts.hooks.run("on_deleted", media)


async def expired(media: Media, records: Records) -> bool:
    """Return whether a media's retention has ended, by the database's clock."""
    return media.expires_at is not None and media.expired(await records.now())


def member(kind: type[Choice], name: str, value: str) -> Choice:
    """Return the member of an enumeration that a parameter names; raises ``InvalidParameter``."""
    try:
        return kind(value)
    except ValueError:
        raise InvalidParameter(f"{name}: use one of {', '.join(kind)}") from None


def id_text(source_id: str | int | None) -> str | None:
    """Return a source id as text, the form in which the records store it."""
    return None if source_id is None else source_id_text(source_id)


def _unknown_media(media_id: str) -> MediaNotFound:
    return MediaNotFound(f"media {media_id!r} not found")
