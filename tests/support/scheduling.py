"""Which tests share a process when the suite runs in several."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

S3 = (
    "tests/api/test_owner_sites.py",
    "tests/plugins/s3_storage/",
    "tests/cli/test_storage_copy_s3.py",
    "tests/e2e/test_backup.py",
    "tests/e2e/test_examples.py",
    "tests/e2e/test_move_to_bucket.py",
)
SAMPLES = "tests/shown/test_shown.py"
LONG = ("tests/e2e/", "tests/shown/", "tests/docs/", "tests/plugins/s3_storage/", "tests/jobs/")
"""Folders whose files take longest."""


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """Keeps the tests of a file in one process, for the fixtures that they share.

    The tests of the S3 server are kept together as well, since there is one server. Each kind of ``SAMPLES`` is a file
    of its own.
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        if path.startswith(S3):
            return "s3"
        if path == SAMPLES:
            return f"{path} {test.partition('[')[2].partition('-')[0].rstrip(']')}"
        return path
