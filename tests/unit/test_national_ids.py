"""The check digit of a RUT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.national_ids import has_wrong_check_digit, is_rut


@pytest.mark.parametrize(
    "text", ["12345678-5", "12.345.678-5", "123456785", "5.126.663-3", "05126663-3", "12345678–5", "6-K", "10000013-k"]
)
def test_right_or_no_rut(text: str) -> None:
    assert not has_wrong_check_digit(text)


@pytest.mark.parametrize("text", ["12345678-9", "12.345.678-K", "05126663-4"])
def test_wrong(text: str) -> None:
    assert has_wrong_check_digit(text)
    assert not is_rut(text)


@pytest.mark.parametrize("text", ["", "no tiene", "pasaporte 123", "A12345678", "00000000-0", "20-12345678-6", "1-9"])
def test_what_is_no_rut_is_not_judged(text: str) -> None:
    assert not has_wrong_check_digit(text)
    assert not is_rut(text)


@given(st.integers(100_000, 99_999_999))
def test_every_number_has_one_check_digit(number: int) -> None:
    assert sum(is_rut(f"{number}-{digit}") for digit in "0123456789K") == 1
