"""The query engine's translation of the Prisma client's GraphQL, checked under Node."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.runtimes import packaged

HERE = Path(__file__).parent
PROTOCOL = HERE.parents[1] / "query_engine" / "src" / "protocol.js"


def test_protocol_translates_graphql_to_prisma_json() -> None:
    done = subprocess.run(
        [packaged("node"), HERE / "protocol_check.js", PROTOCOL],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == 7
