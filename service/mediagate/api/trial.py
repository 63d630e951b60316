"""A trial of recipes: the image processes of a gate without its records, storage and queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
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

    async def run(
        self,
        data: bytes,
        recipe: Recipe,
        source_type: str,
        *,
        inputs: Mapping[str, bytes] | None = None,
        told: Callable[[StepEnd], None] = lambda _: None,
    ) -> Produced:
        """Return what a recipe makes of a file, within the limits of a source and with its moderation.

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
        return await self._parts.images.run_pipeline(data, recipe, source, inputs=inputs, told=told)


@asynccontextmanager
async def open_trial(parts: Parts) -> AsyncIterator[Trial]:
    """Provide the image processes of unopened parts to the block."""
    try:
        yield Trial(parts)
    finally:
        await parts.images.close()
