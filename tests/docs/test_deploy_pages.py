"""The pages for operators quote the samples of examples/deploy, and their tables agree with the code."""

from __future__ import annotations

import re

import pytest

from mediagate.api.readiness import ASK_EVERY_S, PATIENCE_S
from mediagate.errors import MediagateError, SchemaOutdated, ShuttingDown, Unavailable
from tests.support.deploy_samples import SAMPLES, sample
from tests.support.pages import DOCS, PAGES

QUOTED = {
    name: text
    for page in PAGES.values()
    for name, text in re.findall(r"^`examples/deploy/(\S+?)`[^`\n]*:\n\n```\w+\n(.*?)^```$", page, re.M | re.S)
}
LINKED = {name for page in PAGES.values() for name in re.findall(r"\]\((?:\.\./)*examples/deploy/([\w.@-]+)\)", page)}
FILES = sorted(path.name for path in SAMPLES.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_page_quotes_or_links_the_sample(name: str) -> None:
    assert name in QUOTED or name in LINKED
    if name in QUOTED:
        assert QUOTED[name] == sample(name)


def test_pages_name_existing_samples_only() -> None:
    assert set(QUOTED) | LINKED == set(FILES)


def codes(kind: type[MediagateError]) -> set[str]:
    return {kind.code}.union(*map(codes, kind.__subclasses__()))


def test_health_page_names_codes_and_times_of_the_code() -> None:
    page = (DOCS / "how-to" / "health-checks.md").read_text()
    checked = page.partition("## What readyz looks at")[2].partition("\n## ")[0]
    named = {code for row in re.findall(r"\| ([^|]*) \|$", checked, re.M) for code in re.findall(r"`(\w+)`", row)}
    assert named >= {ShuttingDown.code, SchemaOutdated.code, "records_unavailable", "storage_unavailable"}
    assert named <= codes(Unavailable) | codes(ShuttingDown)
    assert f"within {PATIENCE_S:g} s together" in checked
    assert ASK_EVERY_S == 1 and "within a second" in checked
