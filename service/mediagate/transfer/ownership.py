"""Whether the files of one storage may be copied to another: whose they are, and whether both are the same place."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from mediagate.errors import ConfigError, ObjectNotFound
from mediagate.storage import MARK_KEY, Mark, Storage, read_mark, write_mark
from mediagate.transfer.inventory import Inventory

FEW = 5
"""Up to this many published files in an unmarked storage, or to delete, raise no suspicion."""
LEAST_LEFT = 0.5
"""A source with a smaller share of the number of the target's published files may have lost some."""
PROBE_KEY = "mediagate/copying"


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of the source and the target."""

    source: Mark | None
    target: Mark | None

    @property
    def used(self) -> bool:
        """Whether a gate has used the target since it was copied from the source, or from a newer one."""
        return self.source is not None and self.target is not None and self.target.generation > self.source.generation


async def read_marks(source: Storage, target: Storage) -> Marks:
    """Return the marks of two storages; raises ``ConfigError`` unless the target may hold the source's files."""
    marks = Marks(await read_mark(source), await read_mark(target))
    if marks.target is None:
        return marks
    if marks.source is None:
        raise ConfigError(
            f"the destination holds the files of a database ({marks.target.database}), and the source has no "
            f"{MARK_KEY} that names its database: `mediagate adopt`, with a gate on the source, writes it"
        )
    if marks.source.database != marks.target.database:
        raise ConfigError(
            f"the destination holds the files of another database ({marks.target.database}; the source's is "
            f"{marks.source.database}): name another bucket, prefix or folder"
        )
    return marks


def check_content(marks: Marks, inventory: Inventory) -> None:
    """Raise ``ConfigError`` if the source is not a gate's storage, or the target has the files of something else."""
    if marks.source is None and inventory.totals()[0] == 0:
        raise ConfigError(
            "the source holds no files of a gate: name the bucket and prefix, or the folder, that has media/ and "
            "mediagate/ in it; by default that is data_dir/files"
        )
    published = inventory.published()
    if marks.target is None and published.target > FEW and not published.common:
        raise ConfigError(
            f"the destination holds {published.target:,} published files, none of which the source has: name another "
            "bucket, prefix or folder"
        )


def check_deletion(marks: Marks, inventory: Inventory) -> None:
    """Raise ``ConfigError`` unless all files of the target came from the source, and the source seems to be whole."""
    if next(inventory.extra(), None) is None:
        return
    if marks.source is None or marks.target is None:
        raise ConfigError(
            "--delete would remove files that may not have come from the source, because the destination has no "
            f"{MARK_KEY}: run the command once without --delete"
        )
    if marks.used:
        raise ConfigError(
            "a gate has used the destination since the files were copied: --delete would remove its new files"
        )
    published = inventory.published()
    if published.target - published.common > FEW and published.source < LEAST_LEFT * published.target:
        raise ConfigError(
            f"--delete would leave {published.common:,} of the {published.target:,} published files of the "
            "destination: check that the source is complete, or empty the destination and copy to it again"
        )


async def check_apart(source: Storage, target: Storage) -> None:
    """Raise ``ConfigError`` if two storages are the same place; raises ``StorageUnavailable`` if one is unusable."""
    token = secrets.token_hex(16).encode()
    await target.put(PROBE_KEY, token)
    try:
        if await source.get(PROBE_KEY) == token:
            raise ConfigError("source and destination are the same place")
    except ObjectNotFound:
        pass
    finally:
        await target.delete([PROBE_KEY])


async def claim(target: Storage, marks: Marks) -> None:
    """Write the source's mark to the target, unless the target has a newer one: from then on no other gate uses it."""
    if marks.source is not None and not marks.used and marks.source != marks.target:
        await write_mark(target, marks.source)
