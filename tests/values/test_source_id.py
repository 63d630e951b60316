"""Source ids in storage keys: those of release 0.1.0 as they were, all others encoded, and no two alike."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mediagate.errors import InvalidSourceId
from mediagate.storage import is_key
from mediagate.values import (
    UploadFields,
    media_id_of,
    media_prefixes,
    original_key,
    output_key,
    output_prefix,
    source_type_of,
    variant_key,
)

MEDIA = "med_abcdefghijklmnopqrstuvwxyz"
OLD = ("a", "7", "user-1", "User_1", "0", "con", "A" * 128, "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "a--_b")
"""Ids that release 0.1.0 accepted."""
ENCODED = {
    "ann@example.com": "_ann.40example.2ecom",
    "Ann@example.com": "_.41nn.40example.2ecom",
    "auth0|507f": "_auth0.7c507f",
    "a/b": "_a.2fb",
    "../../etc": "_.2e.2e.2f.2e.2e.2fetc",
    ".": "_.2e",
    "..": "_.2e.2e",
    "ends.": "_ends.2e",
    "100%": "_100.25",
    "%2e": "_.252e",
    " ": "_.20",
    "_x": "__x",
    "-x": "_-x",
    "\\\\server\\share": "_.5c.5cserver.5cshare",
    "zoë": "_zo.c3.ab",
    "zoe\u0308": "_zoe.cc.88",
    "🐈": "_.f0.9f.90.88",
    "<script>": "_.3cscript.3e",
    "@" * 39: "_" + ".40" * 39,
}


def segment(source_id: str) -> str:
    return variant_key("avatar", source_id, MEDIA, "sm", "webp").split("/")[2]


def decoded(segment: str) -> str:
    """Return the id of an encoded segment."""
    assert segment.startswith("_")
    pieces = re.findall(r"\.([0-9a-f]{2})|([a-z0-9_-])", segment[1:])
    return bytes(int(escaped, 16) if escaped else ord(plain) for escaped, plain in pieces).decode()


@pytest.fixture(scope="module")
def old_layout(release_wheel: Path) -> dict[str, Any]:
    """The layout of keys in the wheel of release 0.1.0."""
    names: dict[str, Any] = {}
    with ZipFile(release_wheel) as wheel:
        exec(wheel.read("mediagate/values/layout.py"), names)
    return names


@pytest.mark.parametrize("source_id", OLD)
def test_key_of_an_id_of_the_release_is_that_of_the_release(source_id: str, old_layout: dict[str, Any]) -> None:
    place = ("avatar", source_id, MEDIA)
    assert original_key(*place, "jpg") == old_layout["original_key"](*place, "jpg")
    assert variant_key(*place, "sm", "webp") == old_layout["variant_key"](*place, "sm", "webp")
    assert original_key(*place, "jpg") == f"originals/avatar/{source_id}/{MEDIA}/original.jpg"


@pytest.mark.parametrize(("source_id", "wanted"), ENCODED.items())
def test_other_ids_are_encoded_reversibly(source_id: str, wanted: str) -> None:
    assert segment(source_id) == wanted
    assert decoded(wanted) == source_id


@pytest.mark.parametrize("source_id", ["@" * 40, "x" * 129, "é" * 255, "🐈" * 255, "a" * 119 + "@"])
def test_id_whose_encoding_is_long_is_hashed(source_id: str) -> None:
    assert re.fullmatch(r"_sha256-[0-9a-f]{64}", segment(source_id))
    assert len({segment(source_id + end) for end in ("", "x", "X")} | {segment(source_id[:-1])}) >= 3


def random_id(chance: random.Random) -> str:
    """Return an id of characters that are likely to collide."""
    alphabet = chance.choice(["aA_", "a.%", "aA0-_", "_.2e", "éÉe\u0301\u017fs", "/\\ .", "sha256-_f0", "🐈\u200d⬛"])
    return "".join(chance.choice(alphabet) for _ in range(chance.choice([1, 2, 3, 7, 40, 119, 128, 129, 255])))


@pytest.mark.parametrize("seed", range(8))
def test_no_two_ids_have_the_same_key(seed: int) -> None:
    chance = random.Random(seed)
    ids = {random_id(chance) for _ in range(1000)}
    # An id may look like the segment of another one.
    ids |= {found for found in map(segment, ids) if len(found) <= 255}
    by_segment: dict[str, str] = {}
    for source_id in ids:
        found = segment(source_id)
        assert by_segment.setdefault(found, source_id) == source_id
        key = variant_key("avatar", source_id, MEDIA, "s" * 64, "webp")
        assert is_key(key) and len(found) <= 128, source_id
        assert (source_type_of(key), media_id_of(key)) == ("avatar", MEDIA)
        assert key.startswith(media_prefixes("avatar", source_id, MEDIA))
        assert is_key(output_prefix("work", source_id, MEDIA)[:-1])
    encoded = [found for found in by_segment if found.startswith("_")]
    assert len({found.casefold() for found in encoded}) == len(encoded), "file systems may ignore case"
    plain = {found.casefold() for found in by_segment if not found.startswith("_")}
    assert plain.isdisjoint(encoded)


@pytest.mark.parametrize(
    "source_id", ["", "x" * 256, "\x00", "a\x00b", "a\nb", "a\r", "\t", "\x7f", "a\x85b", "\u2028", "\u2029", "\ud83d"]
)
def test_ids_that_cannot_be_stored_or_break_lines_are_refused(source_id: str) -> None:
    with pytest.raises(InvalidSourceId, match="sourceId: use "):
        UploadFields("avatar", source_id).check({"avatar"})


@pytest.mark.parametrize("source_id", [*OLD, *ENCODED, "x" * 255, "🐈" * 255, "\u202eabc", "\u200d"])
def test_any_other_text_is_a_source_id(source_id: str) -> None:
    UploadFields("avatar", source_id).check({"avatar"})


def test_longest_key_fits_into_s3_with_the_longest_prefixes() -> None:
    longest = variant_key("t" * 64, "x" * 128, MEDIA, "v" * 64, "webp")
    folder = output_prefix("t" * 64, "x" * 128, MEDIA)
    output = output_key(folder, 49, "n" * 64, "webp")
    # The prefix of a bucket has up to 256 characters, a key prefix up to 128 instead of at least 5.
    assert max(len(longest), len(output)) + 257 + 128 <= 1024
