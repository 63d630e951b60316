"""A host's gate with replaced parts for one test: no state outlives the test, and no data leaves the process."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from mediagate.errors import PluginError
from mediagate.gate import MediaGate
from mediagate.kernel import Key, Registry
from mediagate.parts import MODERATOR, QUEUE, RECORDS, REMOTE_MODERATOR, STORAGE
from mediagate.queue import InProcessQueue
from mediagate.records import MemoryRecords
from mediagate.storage import KeyPrefixes, MemoryStorage
from mediagate.testing.judge import Asked, Judge

REPLACED = (STORAGE, RECORDS, QUEUE, MODERATOR, REMOTE_MODERATOR)


@contextmanager
def isolated(
    gate: MediaGate,
    folder: Path,
    *,
    records: Literal["memory", "sqlite"] = "memory",
    without: Collection[str] = (),
) -> Iterator[Judge]:
    """Replace storage, records, queue and moderators of a closed gate for one test; sources, hooks and plugins stay.

    Enter it before the app starts. Images are processed normally, by one image process. ``folder``, such as pytest's
    ``tmp_path``, receives the files on disk. Plugins that provide a replaced part, and those named in ``without``, do
    not boot. ``records="sqlite"`` is for plugins with their own tables; opening takes longer then. Settings of
    databases, CDNs and folders are overridden. Yields the ``Judge`` that controls the moderator.

    Raises ``PluginError`` when the gate is open before or after the block, or ``without`` has an unknown name.
    """
    moderated = gate.settings.moderation == "on"
    labels = frozenset(label for source in gate.sources.values() for label in (*source.reject, *source.review))
    judge = Judge(labels, folder / "mediagate-judge", moderated=moderated)
    values: dict[Key[Any], Any] = {STORAGE: MemoryStorage(), QUEUE: InProcessQueue()}
    if records == "memory":
        values[RECORDS] = MemoryRecords()
    if moderated:
        values[MODERATOR] = Asked(labels, folder / "mediagate-judge")

    def replaced(host: Registry) -> Registry:
        if unknown := sorted(set(without) - {plugin.name for plugin in host.plugins}):
            raise PluginError(f"without names plugins that the gate does not have: {', '.join(unknown)}")
        own = {key: value for key, value in host.values.items() if key not in REPLACED}
        return replace(
            host.copy(),
            values=own | values,
            replaced=frozenset(key.name for key in REPLACED),
            without=frozenset(without),
        )

    settings = gate.settings.model_copy(
        update={
            "data_dir": folder / "mediagate",
            "database_url": None,
            "database_engine_url": None,
            "migrate": None,
            "public_url": None,
            "image_processes": 1,
            "worker": True,
            "poll_after_ms": 100,
            # Those of the storage in memory.
            **{f"{kind}_prefix": prefix for kind, prefix in KeyPrefixes().to_json().items()},
        }
    )
    # The names of moderators in ``moderators`` are those of the replaced ones.
    sources = {name: source.model_copy(update={"moderators": None}) for name, source in gate.sources.items()}
    with gate.instead(replaced, settings, sources):
        yield judge
