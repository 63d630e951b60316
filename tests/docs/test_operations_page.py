"""The pages of operations: each operation, each parameter with its default and text, each code of a fault."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediagate.images.operations import MOST_OUTPUTS, MOST_STEPS, STANDARD, Operation, parse, standard
from mediagate.images.operations.filter.looks import LOOKS
from mediagate.images.operations.problems import CODES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "operations.md").read_text()
FAMILIES = {path.stem: path.read_text() for path in sorted((REFERENCE / "operations").glob("*.md"))}
ALL = "\n".join((PAGE, *FAMILIES.values()))


def rows_of(operation: Operation[Any]) -> Iterator[str]:
    """Yield the rows of the table of an operation."""
    for name, field in operation.params.model_fields.items():
        default = (
            "required" if field.is_required() else f"`{json.dumps(field.default)}`" if field.default is not None else ""
        )
        yield f"| `{field.alias or name}` | {default} | {field.description} |"


@pytest.mark.parametrize("operation", STANDARD, ids=[operation.name for operation in STANDARD])
def test_operations_pages_describe_every_parameter(operation: Operation[Any]) -> None:
    _, heading, rest = ALL.partition(f"\n## {operation.name}\n")
    assert heading, f"no page has {operation.name}"
    section = re.split(r"\n##+ ", rest)[0]
    summary = " ".join((operation.params.__doc__ or "").split())
    assert summary in " ".join(section.split())
    assert [line for line in section.splitlines() if line.startswith("| `")] == list(rows_of(operation))


def test_operations_pages_list_nothing_else() -> None:
    listed = [name for page in FAMILIES.values() for name in re.findall(r"^## (\w+)$", page, re.M)]
    assert sorted(listed) == sorted(operation.name for operation in STANDARD)


def test_operations_page_lists_every_code_of_a_fault() -> None:
    table = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    own = {
        "unknown_operation",
        "unknown_result",
        "duplicate_result",
        "unknown_input",
        "unused_step",
        "operation_unavailable",
        "wrong_type",
    }
    assert listed == own | set(CODES.values())


def test_operations_page_names_the_looks_and_limits() -> None:
    for name in LOOKS:
        assert f"`{name}`" in ALL
    assert f"{MOST_STEPS} steps" in PAGE and f"{MOST_OUTPUTS} outputs" in PAGE


def test_examples_of_the_operations_pages_are_valid() -> None:
    examples = re.findall(r"```json\n(.*?)```", ALL, re.S)
    assert examples
    for example in examples:
        parse(json.loads(example)["steps"], standard(), inputs=("logo",))
