"""Names of downloads: safe on every system, and no two alike."""

from __future__ import annotations

import pytest

from mediagate.values import safe_names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo-large.webp", "photo-large.webp"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Windows\\x.png", "C__Windows_x.png"),
        ("/absolute.png", "_absolute.png"),
        ("..", "file"),
        (".hidden.png", "hidden.png"),
        ("", "file"),
        ("CON.png", "_CON.png"),
        ("nul", "_nul"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("com\u00b9.png", "_com\u00b9.png"),
        ("con .tar.gz", "_con .tar.gz"),
        ("CONOUT$.png", "_CONOUT$.png"),
        ("a\x00b\r\n.png", "ab.png"),
        ("gnp.\u202egpj", "gnp.gpj"),
        ('a"b<c>|?*.png', "a_b_c____.png"),
        ("\ud800.png", "png"),
        ("Grüße 写.png", "Grüße 写.png"),
        ("name. .png", "name.png"),
    ],
)
def test_name_is_safe(name: str, safe: str) -> None:
    assert safe_names([name]) == [safe]


def test_long_name_is_cut_to_what_file_systems_take_and_keeps_its_extension() -> None:
    (safe,) = safe_names(["写" * 300 + ".jpeg"])
    assert len(safe.encode()) <= 200 and safe.endswith(".jpeg")


def test_names_that_a_file_system_takes_for_one_are_made_different() -> None:
    names = safe_names(
        ["a.png", "A.PNG", "a.png", "a-2.png", "caf\u00e9", "cafe\u0301", "ﬁ.png", "fi.png", "../a", "_a"]
    )
    assert len({name.casefold() for name in names}) == len(names)
    assert names[:3] == ["a.png", "A-2.PNG", "a-3.png"]
