"""A trial of recipes: the image processes of a gate without its records, storage and queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mediagate.errors import ConfigError
from mediagate.moderation import judged_remotely
from mediagate.parts import Parts
from mediagate.values import Produced, StepEnd

if TYPE_CHECKING:
    from mediagate.images import Recipe


class Trial:
    """``async with gate.trial() as trial``: runs recipes and records nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def pages(self, path: Path, recipe: Recipe, source_type: str) -> Sequence[int | None]:
        """Return the pages of a document that a recipe renders, ``(None,)`` for a picture.

        Raises ``InvalidPipeline`` if the recipe does not fit the file, ``PasswordRequired``, and like
        ``ImagePool.probe``.
        """
        from mediagate.images import check_pages, password_of  # lazily, as the recipe's operations

        source = self._parts.sources[source_type]
        await self._parts.images.open()
        info = await self._parts.images.probe(path, source, password_of(recipe))
        return check_pages(recipe, [info], source.max_pages)[0]

    async def run(
        self,
        data: bytes,
        recipe: Recipe,
        source_type: str,
        *,
        page: int | None = None,
        inputs: Mapping[str, bytes] | None = None,
        told: Callable[[StepEnd], None] = lambda _: None,
    ) -> Produced:
        """Return what a recipe makes of a picture or a page, within the limits of a source and with its moderation.

        ``inputs`` are further pictures by name, ``told`` is called with the end of each step. The first call starts the
        image processes. Raises ``ConfigError`` if they cannot start, or if a service judges the pictures of the source,
        which a trial cannot call; and the errors of pipelines.
        """
        source, remote = self._parts.sources[source_type], self._parts.remote_moderator
        if remote is not None and judged_remotely(source, remote):
            raise ConfigError(
                f"a service judges the pictures of {source_type}, and a trial cannot call it; open the gate and send "
                "the picture to POST /pipelines"
            )
        await self._parts.images.open()
        return await self._parts.images.run_pipeline(data, recipe, source, page=page, inputs=inputs, told=told)


@asynccontextmanager
async def open_trial(parts: Parts) -> AsyncIterator[Trial]:
    """Provide the image processes of unopened parts to the block."""
    try:
        yield Trial(parts)
    finally:
        await parts.images.close()
