"""The arguments of pipelines from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from mediagate.api.media import find_media
from mediagate.api.runtime import Runtime
from mediagate.api.uploads import name_of
from mediagate.errors import ConfigError, MediaNotFound
from mediagate.intake import SOURCE_ID, OrderInput, PipelineOrder, Readable
from mediagate.values import display_name, source_id_text

if TYPE_CHECKING:
    from mediagate.images import Recipe

PipelineSource = Readable | str
"""A picture, or the id of a media of the same owner."""
PipelineSources = PipelineSource | Sequence[PipelineSource] | Mapping[str, PipelineSource]
"""One picture, several, or several with the names by which steps refer to them."""


async def make_order(
    inputs: PipelineSources,
    runtime: Runtime,
    *,
    steps: Sequence[Mapping[str, Any]],
    source: str,
    source_id: str | int = SOURCE_ID,
    preset: str | None = None,
    ttl: timedelta | None = None,
    client_reference_id: str | None = None,
    callback_url: str | None = None,
    owner: str | None = None,
) -> PipelineOrder:
    """Return the order for some pictures; raises ``InvalidPipeline``, ``MediaNotFound`` and ``ConfigError``."""
    named = dict(inputs) if isinstance(inputs, Mapping) else _numbered(inputs)
    return PipelineOrder(
        inputs=tuple([await _input(name, one, runtime, owner) for name, one in named.items()]),
        # In a thread: checking a large table of colours takes some tenths of a second.
        recipe=await to_thread.run_sync(partial(recipe_of, steps, runtime, names=list(named))),
        source_type=source,
        source_id=source_id_text(source_id),
        preset=preset,
        ttl=ttl,
        client_reference_id=client_reference_id or None,
        callback_url=callback_url or None,
    )


def recipe_of(steps: Sequence[Mapping[str, Any]], runtime: Runtime, *, names: Sequence[str] = ()) -> Recipe:
    """Return the recipe of JSON steps that may refer to inputs with these names; raises ``InvalidPipeline``."""
    from mediagate.images import parse  # lazily: only gates that run pipelines load the operations

    operations = runtime.parts.operations
    if operations is None:
        raise ConfigError("this gate runs no pipelines: no plugin has provided OPERATIONS")
    return parse([dict(step) if isinstance(step, Mapping) else step for step in steps], operations, inputs=names)


def _numbered(inputs: PipelineSource | Sequence[PipelineSource]) -> dict[str, PipelineSource]:
    every = inputs if isinstance(inputs, list | tuple) else [inputs]
    return {f"input{number}": one for number, one in enumerate(every)}


async def _input(name: str, source: PipelineSource, runtime: Runtime, owner: str | None) -> OrderInput:
    if not isinstance(source, str):
        return OrderInput(name, source, display_name(name_of(source)))
    media = await find_media(source, runtime, owner=owner)
    largest = max(media.variants, key=lambda variant: variant.width * variant.height, default=None)
    key = media.original_key or (largest.key if largest else None)
    if key is None:
        raise MediaNotFound(f"media {source!r} has no file")
    return OrderInput(name, runtime.parts.storage.stream(key), Path(key).name)
