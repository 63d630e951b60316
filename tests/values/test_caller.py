"""Who a caller is, and what it is kept to."""

from __future__ import annotations

import pytest

from mediagate import Action, Principal
from mediagate.errors import InvalidParameter
from mediagate.values import check_owner, owner_and_key, owner_seen_by


@pytest.mark.parametrize(
    ("text", "can_be"),
    [("", False), ("a", True), ("a" * 255, True), ("a" * 256, False), ("Zoë 写真", True), ("a\nb", False)],
)
def test_owner_is_1_to_255_printable_characters(text: str, can_be: bool) -> None:
    if can_be:
        check_owner(text)
        assert Principal(text, key=text).id == text
        return
    with pytest.raises(InvalidParameter, match="use 1 to 255 printable characters"):
        check_owner(text)
    with pytest.raises(ValueError, match=r"Principal\.id"):
        Principal(text)
    with pytest.raises(ValueError, match=r"Principal\.key"):
        Principal("ann", key=text)


def test_owner_may_be_nobody() -> None:
    check_owner(None)


def test_principal_is_no_admin_and_has_no_key_unless_told() -> None:
    principal = Principal("ann")
    assert (principal.admin, principal.key) == (False, None)


def test_owner_seen_by_keeps_all_but_admins_to_their_own() -> None:
    assert owner_seen_by(Principal("ann")) == "ann"
    assert owner_seen_by(Principal("root", admin=True)) is None
    assert owner_seen_by(None) is None


def test_owner_and_key_are_the_callers_also_for_an_admin() -> None:
    assert owner_and_key(Principal("ann", key="key_1")) == ("ann", "key_1")
    assert owner_and_key(Principal("root", admin=True)) == ("root", None)
    assert owner_and_key(None) == (None, None)


def test_action_is_the_name_of_its_scope() -> None:
    assert [str(action) for action in Action] == ["upload", "read", "delete", "admin"]
