"""Numbers as people write them. The sample that everybody uses, +56912345678, is possible but not assigned."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.phone_numbers import E164_PATTERN, PhoneNumber, mask, normalise_phone, split_phones
from app.domain.phone_regions import region_of_country, region_of_timezone

REGIONS = st.sampled_from(["CL", "AR", "MX", "BR", "PE", "CO", "US", None])


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        ("+56987654321", None, "+56987654321"),
        ("+56 9 8765 4321", None, "+56987654321"),
        ("987654321", "CL", "+56987654321"),
        ("56987654321", "CL", "+56987654321"),
        ("0056987654321", "CL", "+56987654321"),
        ("0987654321", "CL", "+56987654321"),
        ("+56 0 9 8765 4321", None, "+56987654321"),
        ("(56) 9-8765-4321", "CL", "+56987654321"),
        ("2 2345 6789", "CL", "+56223456789"),
        ("987654321.0", "CL", "+56987654321"),
        ("'987654321", "CL", "+56987654321"),
        ('="987654321"', "CL", "+56987654321"),
        ("tel:+56987654321", None, "+56987654321"),
        ("\u202a+56\u00a09\u00a08765\u20114321\u202c", None, "+56987654321"),
        ("９８７６５４３２１", "CL", "+56987654321"),
        ("9８７６５４３２１", "CL", "+56987654321"),
        ("+56 9 87654321 (Juan)", None, "+56987654321"),
        ("+56 9 87654321 Juan", None, "+56987654321"),
        ("011 15 2345-6789", "AR", "+5491123456789"),
        ("11 15 23456789", "AR", "+5491123456789"),
        ("0351 15 234 5678", "AR", "+5493512345678"),
        ("+54 9 11 15 2345 6789", None, "+5491123456789"),
        ("+54 9 11 2345 6789", None, "+5491123456789"),
        ("+521 55 1234 5678", None, "+525512345678"),
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("045 55 1234 5678", "MX", "+525512345678"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("(11) 98765-4321", "BR", "+5511987654321"),
        ("987 654 321", "PE", "+51987654321"),
        ("300 123 4567", "CO", "+573001234567"),
        ("+1 212 555 0123", "CL", "+12125550123"),
    ],
)
def test_reads_what_people_write(written: str, region: str | None, e164: str) -> None:
    found = normalise_phone(written, region)
    assert found.e164 == e164
    assert found.error is None


@pytest.mark.parametrize(
    ("written", "region", "e164", "warning"),
    [
        ("+56912345678", None, "+56912345678", "phone_unassigned_range"),
        ("912345678", "CL", "+56912345678", "phone_unassigned_range"),
        ("22345678", "CL", "+56222345678", "phone_repaired"),
        ("8765 4321", "CL", "+56987654321", "phone_repaired"),
        ("600 600 1234", "CL", "+566006001234", "phone_service_line"),
        ("11 2345 6789", "AR", "+541123456789", "phone_mobile_unclear"),
    ],
)
def test_accepts_odd_numbers_with_a_warning(written: str, region: str | None, e164: str, warning: str) -> None:
    assert normalise_phone(written, region) == PhoneNumber(e164=e164, warnings=(warning,))


@pytest.mark.parametrize(
    ("written", "region", "error"),
    [
        ("5,69123E+10", "CL", "phone_scientific"),
        ("5.69123e+10", "CL", "phone_scientific"),
        ("5E+10", "CL", "phone_scientific"),
        ("12345", "CL", "phone_too_short"),
        ("+56 9 8765 43210987", None, "phone_too_long"),
        ("98765432109876543210", "CL", "phone_too_long"),
        ("987654321", None, "phone_needs_country"),
        ("15 2345-6789", "AR", "phone_needs_area_code"),
        ("2345-6789", "AR", "phone_needs_area_code"),
        ("+999 123 456 789", None, "phone_unknown_country"),
    ],
)
def test_says_why_a_number_is_none(written: str, region: str | None, error: str) -> None:
    assert normalise_phone(written, region) == PhoneNumber(error=error)


@pytest.mark.parametrize("written", ["", "-", "s/n", "0", "no tiene", "N/A", "+"])
def test_blanks_are_no_errors(written: str) -> None:
    assert normalise_phone(written, "CL") == PhoneNumber()


def test_a_mobile_column_makes_an_argentine_number_a_mobile() -> None:
    assert normalise_phone("11 2345 6789", "AR", mobile_hint=True).e164 == "+5491123456789"


@pytest.mark.parametrize(
    "written", ["2 2345 6789 anexo 12", "223456789 x12", "22345 6789 ext. 12", "223456789 (int 12)"]
)
def test_keeps_the_extension_apart(written: str) -> None:
    if "(" in written:  # a remark in parentheses is a remark
        assert normalise_phone(written, "CL") == PhoneNumber(e164="+56223456789")
    else:
        assert normalise_phone(written, "CL") == PhoneNumber(e164="+56223456789", extension="12")


@given(st.text(alphabet="0123456789+ -.()xE", max_size=24), REGIONS, st.booleans())
def test_normalising_twice_changes_nothing(written: str, region: str | None, mobile: bool) -> None:
    once = normalise_phone(written, region, mobile_hint=mobile)
    if once.e164:
        assert re.fullmatch(E164_PATTERN, once.e164)
        assert normalise_phone(once.e164, None, mobile_hint=mobile).e164 == once.e164
        assert normalise_phone(once.e164, region, mobile_hint=mobile).e164 == once.e164


@given(st.text(max_size=60), REGIONS)
def test_no_text_breaks_it(written: str, region: str | None) -> None:
    for piece in split_phones(written):
        found = normalise_phone(piece, region)
        assert not (found.e164 and found.error)


@pytest.mark.parametrize(
    ("cell", "pieces"),
    [
        ("", []),
        ("  ", []),
        ("987654321", ["987654321"]),
        ("987654321;987654322", ["987654321", "987654322"]),
        ("+56987654321 / 223456789", ["+56987654321", "223456789"]),
        ("987654321 987654322", ["987654321", "987654322"]),
        ("987654321\n987654322", ["987654321", "987654322"]),
        ("987654321  987654322", ["987654321", "987654322"]),
        ("987654321 - 987654322", ["987654321", "987654322"]),
        ("987654321 y 987654322", ["987654321", "987654322"]),
        ("987654321 o 987654322", ["987654321", "987654322"]),
        ("+56 9 8765 4321 +56 9 8765 4322", ["+56 9 8765 4321", "+56 9 8765 4322"]),
        ("+56987654321+56987654322", ["+56987654321", "+56987654322"]),
        ("11 - 4567 8901", ["11 - 4567 8901"]),
        ("+56  9 8765 4321", ["+56  9 8765 4321"]),
        ("(2) 2345 6789", ["(2) 2345 6789"]),
        ("987654321 (Juan, hijo)", ["987654321"]),
        ("223456789, anexo 12", ["223456789 anexo 12"]),
        ("987,654,321", ["987654321"]),
        ("987654321,0", ["987654321,0"]),
        ("5,69123E+10", ["5,69123E+10"]),
    ],
)
def test_splits_a_cell_into_its_numbers(cell: str, pieces: list[str]) -> None:
    assert split_phones(cell) == pieces


@given(
    st.lists(st.from_regex(r"\+?[1-9][0-9]{8,10}", fullmatch=True), min_size=1, max_size=6),
    st.sampled_from([";", " / ", "\n", " | ", ", ", " y ", "  "]),
)
def test_splitting_loses_no_digit(numbers: list[str], separator: str) -> None:
    assert split_phones(separator.join(numbers)) == numbers


@pytest.mark.timeout(10)
@pytest.mark.parametrize("hostile", [" ", "(", "x", ",", "(a", "1 ", "+", "- ", "anexo ", "1\n"])
def test_long_hostile_cells_take_no_time(hostile: str) -> None:
    cell = "1" + hostile * 100_000 + "z"
    for piece in split_phones(cell)[:20]:
        normalise_phone(piece, "CL")


def test_mask_hides_the_middle() -> None:
    assert mask("+56912345678") == "+569*****678"
    assert mask("+569123") == "*******"
    assert mask("") == ""


@given(st.text(max_size=40))
def test_mask_keeps_the_length(phone: str) -> None:
    assert len(mask(phone)) == len(phone)


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("America/Santiago", "CL"),
        ("America/Punta_Arenas", "CL"),
        ("Chile/Continental", "CL"),
        ("America/Argentina/Buenos_Aires", "AR"),
        ("America/Argentina/ComodRivadavia", "AR"),
        ("America/Buenos_Aires", "AR"),
        ("America/Cordoba", "AR"),
        ("Brazil/East", "BR"),
        ("Mexico/General", "MX"),
        ("America/Bogota", "CO"),
        ("UTC", None),
        ("Etc/GMT+3", None),
        ("Nowhere/Land", None),
        ("", None),
    ],
)
def test_region_of_timezone(zone: str, region: str | None) -> None:
    assert region_of_timezone(zone) == region


@pytest.mark.parametrize(
    ("written", "region"),
    [
        ("CL", "CL"),
        ("chile", "CL"),
        ("México", "MX"),
        ("Brasil", "BR"),
        ("EE.UU.", "US"),
        ("+56", "CL"),
        ("54", "AR"),
        ("República Dominicana", "DO"),
        ("Atlántida", None),
        ("", None),
        ("99999", None),
    ],
)
def test_region_of_country(written: str, region: str | None) -> None:
    assert region_of_country(written) == region
