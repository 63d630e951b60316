"""Variants: their formats and steps as configured."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mediagate import VariantSpec
from mediagate.errors import ConfigError


def test_variant_of_one_format_equals_one_with_a_list_of_it() -> None:
    assert VariantSpec(width=8) == VariantSpec(width=8, format="webp") == VariantSpec(width=8, formats=("webp",))
    assert VariantSpec(width=8, format="png").formats == ("png",)


def test_variant_format_is_the_first_of_its_formats() -> None:
    spec = VariantSpec(width=8, formats=("avif", "webp", "jpeg"))
    assert (spec.format, spec.formats) == ("avif", ("avif", "webp", "jpeg"))
    assert VariantSpec.model_validate(spec.model_dump()) == spec


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"formats": ()}, "formats: Tuple should have at least 1 item"),
        ({"formats": "avif"}, "formats: Input should be a valid tuple"),
        ({"formats": ("avif", "gif")}, "formats.1: Input should be 'webp', 'avif', 'jpeg' or 'png'"),
        ({"formats": ("avif", "webp", "avif")}, "a format is named twice in formats"),
        ({"format": "webp", "formats": ("avif", "webp")}, "format is not the first of formats; leave format out"),
        ({"steps": [{"op": "look", "name": {"noir"}}]}, "steps: Value error, not JSON"),
        ({"steps": [{"op": "blur", "radius": math.nan}]}, "steps: Value error, not JSON"),
        ({"steps": ["noir"]}, "steps.0: Input should be a valid dictionary"),
    ],
)
def test_variant_faults_are_config_errors(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match="VariantSpec") as caught:
        VariantSpec(width=8, **options)
    assert told in str(caught.value)


def test_variant_steps_have_one_text_whatever_the_order_of_their_fields() -> None:
    one = VariantSpec(width=8, steps=({"op": "look", "name": "noir"},))
    other = VariantSpec(width=8, steps=({"name": "noir", "op": "look"},))
    assert one.steps_text == other.steps_text != ""
    assert VariantSpec(width=8).steps_text == ""
