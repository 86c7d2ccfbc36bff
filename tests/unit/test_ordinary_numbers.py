"""The short way to an ordinary number says what the long one says, or nothing."""

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from app.domain import phone_numbers
from app.domain.ordinary_numbers import _COUNTRY_CODES, ordinary_number
from app.domain.phone_numbers import PhoneNumber, split_phones

REGIONS = sorted(_COUNTRY_CODES)
KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE, PhoneNumberType.SHARED_COST)


def the_long_way(cell: str, region: str | None, *, mobile: bool) -> list[PhoneNumber]:
    return [phone_numbers._normalise(piece, region, mobile_hint=mobile) for piece in split_phones(cell)]


@st.composite
def cells(draw: st.DrawFn, region: str) -> str:
    """A number of the country as people write it: some digits of a real one, others by chance, anything between."""
    sample = phonenumbers.example_number_for_type(region, draw(st.sampled_from(KINDS)))
    known = "" if sample is None else str(sample.national_number)
    kept = draw(st.integers(0, len(known)))
    length = draw(st.sampled_from([len(known)] * 3 + [6, 7, 8, 9, 10, 11]))
    digits = known[:kept] + "".join(draw(st.lists(st.sampled_from("0123456789"), min_size=length, max_size=length)))
    code = _COUNTRY_CODES[region]
    digits = draw(st.sampled_from(["", "", "0", code, "+" + code, "+" + code, "00" + code])) + digits[:length]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(digits)))
        digits = digits[:at] + draw(st.sampled_from([" ", "-", " - ", "  ", "(", ")", ".", "/"])) + digits[at:]
    return digits


@pytest.mark.parametrize("region", REGIONS)
def test_the_short_way_says_what_the_long_way_says(region: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(cells(region), st.sampled_from([region, None, "CL", "AR"]), st.booleans())
    def check(cell: str, account: str | None, mobile: bool) -> None:
        quick = ordinary_number(cell, account)
        if quick is not None:
            assert the_long_way(cell, account, mobile=mobile) == [PhoneNumber(e164=quick)]

    check()


@given(st.text("0123456789+ -().,/xe\u00a0", max_size=22), st.sampled_from([*REGIONS, None]))
@example("551234567.0", "MX")
@example("2026-01-31", "CR")
@example("987654321 - 987654322", "CL")
@settings(max_examples=400, deadline=None)
def test_any_cell(cell: str, region: str | None) -> None:
    quick = ordinary_number(cell, region)
    if quick is not None:
        assert the_long_way(cell, region, mobile=False) == [PhoneNumber(e164=quick)]


@pytest.mark.parametrize(
    ("cell", "region", "e164"),
    [
        ("+56987654321", None, "+56987654321"),
        ("56 9 8765 4321", "CL", "+56987654321"),
        ("(2) 2345-6789", "CL", "+56223456789"),
        ("+54 9 11 2345-6789", "CL", "+5491123456789"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("+51987654321", None, "+51987654321"),
        ("3001234567", "CO", "+573001234567"),
    ],
)
def test_most_numbers_go_the_short_way(cell: str, region: str | None, e164: str) -> None:
    assert ordinary_number(cell, region) == e164


@pytest.mark.parametrize(
    ("cell", "region"),
    [
        ("987654321", None),
        ("987654321.0", "CL"),
        ("600 600 1234", "CL"),
        ("912345678", "CL"),
        ("11 2345 6789", "AR"),
        ("+1 212 555 0123", "US"),
        ("no tiene", "CL"),
        ("", "CL"),
    ],
)
def test_everything_else_goes_the_long_way(cell: str, region: str | None) -> None:
    assert ordinary_number(cell, region) is None


def test_no_other_country_has_these_codes() -> None:
    for region, code in _COUNTRY_CODES.items():
        assert phonenumbers.region_codes_for_country_code(int(code)) == (region,)
