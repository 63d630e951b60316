"""The registry: names, what clients are told, and that operations can be sent to image processes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from mediagate.errors import ConfigError
from mediagate.images.operations import STANDARD, Operations, standard
from mediagate.images.operations.costs import RATES, SAVING


def test_two_operations_of_one_name_are_refused() -> None:
    operations = standard()
    with pytest.raises(ConfigError, match="two operations are named 'flip'"):
        operations.add(operations["flip"])


def test_registries_do_not_share_their_operations() -> None:
    first = Operations(STANDARD[:1])
    assert len(first) == 1 and len(standard()) == len(STANDARD)


def test_operations_are_pickled_by_reference() -> None:
    sent = pickle.dumps(standard())
    assert len(sent) < 20_000
    received = pickle.loads(sent)
    assert received["flip"].apply is standard()["flip"].apply
    assert list(received) == list(standard())


def test_description_has_a_valid_schema_for_each_operation() -> None:
    described = standard().describe()
    assert [each["op"] for each in described] == [operation.name for operation in STANDARD]
    for each in described:
        Draft202012Validator.check_schema(each["schema"])
        assert each["description"].endswith(".")
        assert each["schema"]["additionalProperties"] is False
        for name, field in each["schema"].get("properties", {}).items():
            assert field.get("description"), f"{each['op']}.{name} is not described"


def test_description_tells_what_is_missing() -> None:
    (deskew,) = (each for each in standard().describe() if each["op"] == "deskew")
    assert deskew["needs"] == {"extra": "pipelines", "available": True, "install": 'pip install "mediagate[pipelines]"'}
    (save,) = (each for each in standard().describe() if each["op"] == "save")
    assert save["optionsNeed"]["recompress"]["extra"] == "png"


def test_every_operation_has_its_row_of_costs() -> None:
    assert {operation.name for operation in STANDARD} == {*RATES, "save", "ocr", "remove_background"}
    assert {"webp", "avif", "jpeg", "png", "gif", "pdf"} == set(SAVING)


@pytest.mark.parametrize("name", ["", "My-Op", "ä", "a" * 65, "a b", "a\n"])
def test_name_that_hosts_would_refuse_is_refused(name: str) -> None:
    operations = standard()
    with pytest.raises(ConfigError, match="a-z, 0-9 and _, at most 64"):
        operations.add(replace(operations["flip"], name=name))


def test_only_save_makes_files() -> None:
    operations = standard()
    with pytest.raises(ConfigError, match="only save makes files"):
        operations.add(replace(operations["save"], name="export"))
