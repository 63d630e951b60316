"""What an open gate can be asked of media."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mediagate.api.runtime import Runtime
from mediagate.config import Settings, Source
from mediagate.errors import InvalidParameter, MediaNotFound, PluginError
from mediagate.jobs import delete_media
from mediagate.values import Media, PublishedMedia, UrlOf, published, source_id_text, utcnow


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A page of media, newest first; ``next_cursor`` asks for the one after it, ``None`` at the end."""

    items: tuple[PublishedMedia, ...]
    next_cursor: str | None


class MediaCalls:
    """What an open gate can be asked of media."""

    sources: dict[str, Source]
    settings: Settings
    _runtime: Runtime | None = None

    @property
    def runtime(self) -> Runtime:
        """The open gate's parts and loops; raises ``PluginError`` while it is closed."""
        if self._runtime is None:
            raise PluginError("the gate is not open: use its lifespan, or `async with gate:`")
        return self._runtime

    async def list_media(
        self,
        source_type: str,
        source_id: str | int | None = None,
        *,
        limit: int = 20,
        cursor: str | None = None,
        owner: str | None = None,
        base_url: str = "",
    ) -> PublishedPage:
        """Return the media of a source, newest first, ``limit`` (1-100) at a time; empty when there are none."""
        check_limit(limit)
        records = self.runtime.parts.records
        page = await records.list_media(
            source_type, id_text(source_id), limit=limit, cursor=cursor, owner_id=owner, now=await records.now()
        )
        url_of = self._url_of(base_url)
        return PublishedPage(tuple(published(media, url_of) for media in page.items), page.next_cursor)

    async def get_media(self, media_id: str, *, owner: str | None = None, base_url: str = "") -> PublishedMedia:
        """Return one media; raises ``MediaNotFound``."""
        media = await self.runtime.parts.records.get_media(media_id)
        if media is None or await self._expired(media) or owner not in (None, media.owner_id):
            raise _unknown_media(media_id)
        return published(media, self._url_of(base_url))

    async def delete_media(self, media_id: str, *, owner: str | None = None) -> None:
        """Remove a media's record, variants and original; repeating it is no error. Raises ``MediaNotFound``."""
        parts = self.runtime.parts
        media = await parts.records.get_media(media_id)
        if media is None and media_id in await parts.records.jobs_of_media([media_id], owner_id=owner):
            return
        if media is None or owner not in (None, media.owner_id):
            raise _unknown_media(media_id)
        deleted = await delete_media(media, parts)
        self.runtime.watch.forget(media.job_id)
        if deleted:
            await parts.hooks.run("on_deleted", media)

    async def _expired(self, media: Media) -> bool:
        return media.expires_at is not None and media.expired(await self.runtime.parts.records.now())

    def _url_of(self, base_url: str) -> UrlOf:
        return partial(self.runtime.urls.of, base_url=self._base(base_url), now=utcnow())

    def _base(self, base_url: str) -> str:
        return base_url or (self.settings.public_base_url or "").rstrip("/")


def check_limit(limit: int) -> None:
    """Raise ``InvalidParameter`` unless so many items may be on a page."""
    if not 1 <= limit <= 100:
        raise InvalidParameter("limit: use a number from 1 to 100")


def id_text(source_id: str | int | None) -> str | None:
    """Return a source id as records keep it."""
    return None if source_id is None else source_id_text(source_id)


def _unknown_media(media_id: str) -> MediaNotFound:
    return MediaNotFound(f"no media is called {media_id!r}")
