"""Roles, scopes, and how long a login is locked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.access import (
    FREE_FAILURES,
    LONGEST_LOCK,
    PERMISSIONS,
    Permission,
    Principal,
    PrincipalKind,
    Role,
    locked_until,
)
from app.domain.errors import Forbidden, NotFound
from app.integrations.credentials.access_tokens import AccessTokens

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "s" * 32


def principal(role: Role = Role.ADMIN, *account_ids: str) -> Principal:
    scope = frozenset(account_ids) or None
    return Principal(kind=PrincipalKind.USER, id="user-1", name="a@b.cl", role=role, account_ids=scope)


def test_each_role_may_what_the_one_below_may_and_more() -> None:
    viewer, operator, admin = (set(PERMISSIONS[role]) for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN))
    assert viewer < operator < admin == set(Permission)
    with pytest.raises(Forbidden):
        principal(Role.VIEWER).require(Permission.OPERATE)


def test_a_scope_hides_what_is_outside() -> None:
    narrow = principal(Role.OPERATOR, "acc-1", "acc-2")
    assert narrow.sees("acc-1")
    assert not narrow.sees("acc-3")
    assert not narrow.sees(None)
    assert set(narrow.visible(None) or ()) == {"acc-1", "acc-2"}
    assert narrow.visible("acc-3") == []
    with pytest.raises(NotFound):
        narrow.require_account("acc-3")
    with pytest.raises(Forbidden):
        narrow.require_all_accounts()
    assert principal().visible(None) is None
    assert principal().sees(None)


@given(st.integers(0, 10_000))
def test_locks_grow_and_stay_bounded(failures: int) -> None:
    until, later = locked_until(failures, NOW), locked_until(failures + 1, NOW)
    assert (until is None) == (failures < FREE_FAILURES)
    if until is not None:
        assert later is not None
        assert NOW < until <= later <= NOW + LONGEST_LOCK


def test_a_token_is_good_until_it_expires_and_only_under_its_secret() -> None:
    tokens = AccessTokens()
    token = tokens.sign("user-1", NOW, timedelta(minutes=15), SECRET)
    assert tokens.bearer_of(token, NOW, SECRET) == "user-1"
    assert tokens.bearer_of(token, NOW + timedelta(minutes=14, seconds=59), SECRET) == "user-1"
    assert tokens.bearer_of(token, NOW + timedelta(minutes=15), SECRET) is None
    assert tokens.bearer_of(token, NOW, "t" * 32) is None
    head, body, signature = token.split(".")
    assert tokens.bearer_of(f"{head}.{body}.{signature[::-1]}", NOW, SECRET) is None
    assert tokens.bearer_of("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyLTEifQ.", NOW, SECRET) is None
    assert tokens.bearer_of("", NOW, SECRET) is None
