"""Telephone numbers as people type them into spreadsheets: taken apart, and brought to E.164.

A number is accepted when it is *possible* (its length exists in its country): `phonenumbers` is behind the
regulators' assignments, and lists are full of numbers it calls invalid that do ring. Invalid ones are
accepted with a warning. All functions are pure.
"""

import re
import unicodedata
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType, ValidationResult

from app.domain.ordinary_numbers import ordinary_number

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"

# A cell with fewer digits ("s/n", "-", "0", "no tiene") is a way of writing that there is no number.
_FEWEST_DIGITS = 5

# Weak separators (two spaces, " - ") also occur inside one number; they split only between whole numbers.
_FEWEST_DIGITS_OF_A_WHOLE_NUMBER = 7

_MASK_HEAD, _MASK_TAIL = 4, 3

_NOT_A_PERSON = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.UAN,
        PhoneNumberType.PAGER,
        PhoneNumberType.VOICEMAIL,
    }
)

_LENGTH_ERRORS = {
    ValidationResult.TOO_SHORT: "phone_too_short",
    ValidationResult.TOO_LONG: "phone_too_long",
    ValidationResult.INVALID_COUNTRY_CODE: "phone_unknown_country",
    # Dialled from the same town only: the area code is missing.
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "phone_needs_area_code",
}

_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_SCIENTIFIC = re.compile(r"\+?\d+(?:[.,]\d+)?\s?[eE]\s?\+?\d{1,2}")
_FLOAT_TEXT = re.compile(r"(\+?\d{5,})[.,]0+")
_THOUSANDS = re.compile(r"\+?\d{1,3}(?:,\d{3}){2,}")
_PARENTHESISED = re.compile(r"\([^()]*\)")
_EXTENSION_WORD = r"(?:anexo|anx|interno|int|ramal|extensi[oó]n|ext|x)[\s.:#-]*"
_EXTENSION = re.compile(rf"(?<![^\W\d_]){_EXTENSION_WORD}(\d{{1,6}})\)?\s*$", re.IGNORECASE)
_EXTENSION_JOIN = re.compile(rf"(?<![,;/\s])[,;/\s]++(?={_EXTENSION_WORD}\d)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[/\\|,;\n\r]|\s(?:y|o|e|ou|u|and|or)\s|(?<=\d)[\s)]*(?=\(?\+)", re.IGNORECASE)
_WEAK_SEPARATORS = re.compile(r"\s{2,}|\s-\s|(?<=\d{8})\s(?=\d{8})")
_FIRST_DIGIT_OR_PLUS = re.compile(r"[+\d]")
_NO_DIGIT = re.compile(r"\D+")
_SHORT_AND_PLAIN = re.compile(r"\+?\d{0,15}")


class PhoneNumber(NamedTuple):
    """What became of one written number.

    `e164` is None when there is none: with an `error` code (imports catalogue) if the text was meant as one,
    without if it was blank ("s/n"). `warnings` are codes too: the number is used, but somebody should look.
    """

    e164: str | None = None
    error: str | None = None
    warnings: tuple[str, ...] = ()
    extension: str | None = None


def split_phones(cell: str) -> list[str]:
    """The numbers written in one cell, in order, not yet normalised; a remark in parentheses is left out."""
    if _SHORT_AND_PLAIN.fullmatch(cell):
        return [cell] if cell else []
    text = _clean(cell)
    if _SCIENTIFIC.fullmatch(text) or _FLOAT_TEXT.fullmatch(text):
        return [text]
    if _THOUSANDS.fullmatch(text):
        return [text.replace(",", "")]
    text = _EXTENSION_JOIN.sub(" ", _without_remarks(text))
    pieces = [piece for part in _SEPARATORS.split(text) for piece in _split_weakly(part)]
    return [stripped for piece in pieces if (stripped := piece.strip())]


def normalise_phone(raw: str, region: str | None, *, mobile_hint: bool = False) -> PhoneNumber:
    """One written number as E.164.

    `region` (ISO 3166, None if unknown) is where numbers without a country code are from. `mobile_hint` says
    that the column is headed as mobile numbers, which Argentina's do not show by themselves. An E.164 result
    normalises to itself.
    """
    quick = ordinary_number(raw, region)
    return PhoneNumber(e164=quick) if quick else _normalise(raw, region, mobile_hint=mobile_hint)


def _normalise(raw: str, region: str | None, *, mobile_hint: bool) -> PhoneNumber:
    text = _clean(raw)
    if _SCIENTIFIC.fullmatch(text):
        return PhoneNumber(error="phone_scientific")
    text, extension = _take_extension(_without_remarks(text))
    dialled = _dialled(text)
    if len(dialled.lstrip("+")) < _FEWEST_DIGITS:
        return PhoneNumber()
    found = _parse(dialled, region, mobile_hint=mobile_hint)
    return found._replace(extension=extension) if extension and found.e164 else found


def mask(phone: str) -> str:
    """The number for logs: "+56912345678" is "+569*****678". Short ones are hidden wholly."""
    hidden = len(phone) - _MASK_HEAD - _MASK_TAIL
    if hidden <= 0:
        return "*" * len(phone)
    return phone[:_MASK_HEAD] + "*" * hidden + phone[-_MASK_TAIL:]


def _clean(text: str) -> str:
    """ASCII digits, plain spaces and dashes; no bidirectional marks, quotes before the number or `tel:`."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES)
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    text = text.strip().lstrip("'=\"").rstrip('"').strip()
    return text[4:].strip() if text[:4].lower() == "tel:" else text


def _without_remarks(text: str) -> str:
    """Without "(Juan)" or "(casa 2)"; the parentheses of "(2) 2345 6789" stay."""
    return _PARENTHESISED.sub(lambda found: " " if _has_letter(found.group()) else found.group(), text)


def _has_letter(text: str) -> bool:
    return any(char.isalpha() for char in text)


def _split_weakly(part: str) -> list[str]:
    pieces = _WEAK_SEPARATORS.split(part)
    if len(pieces) > 1 and all(_count_digits(piece) >= _FEWEST_DIGITS_OF_A_WHOLE_NUMBER for piece in pieces):
        return pieces
    return [part]


def _count_digits(text: str) -> int:
    return sum(char.isdigit() for char in text)


def _take_extension(text: str) -> tuple[str, str | None]:
    match = _EXTENSION.search(text)
    if match and _count_digits(text[: match.start()]) >= _FEWEST_DIGITS:
        return text[: match.start()], match.group(1)
    return text, None


def _dialled(text: str) -> str:
    """The digits, with "+" before an international number. Letters go: `phonenumbers` would dial them."""
    whole = _FLOAT_TEXT.fullmatch(text.strip())
    if whole:
        text = whole.group(1)
    first = _FIRST_DIGIT_OR_PLUS.search(text)
    digits = _NO_DIGIT.sub("", text)
    return f"+{digits}" if first and first.group() == "+" else digits


def _parse(dialled: str, region: str | None, *, mobile_hint: bool) -> PhoneNumber:
    if dialled.startswith("00") and len(dialled) > 11:  # "00" and at least a short full number
        dialled = "+" + dialled[2:]
    if region is None and dialled[0] != "+":
        return PhoneNumber(error="phone_needs_country")
    try:
        number = phonenumbers.parse(_without_mexican_prefix(dialled, region), region)
    except phonenumbers.NumberParseException as error:
        return PhoneNumber(error=_parse_error(error))
    national, warnings = _by_country(number, mobile_hint=mobile_hint)
    if national is None:
        return PhoneNumber(error="phone_needs_area_code")
    if national != phonenumbers.national_significant_number(number):
        number = phonenumbers.parse(f"+{number.country_code}{national}", None)
    return _judge(number, warnings)


def _parse_error(error: phonenumbers.NumberParseException) -> str:
    if error.error_type == phonenumbers.NumberParseException.TOO_LONG:
        return "phone_too_long"
    if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
        return "phone_unknown_country"
    return "phone_too_short"


def _judge(number: phonenumbers.PhoneNumber, warnings: list[str]) -> PhoneNumber:
    verdict = phonenumbers.is_possible_number_with_reason(number)
    if verdict != ValidationResult.IS_POSSIBLE:
        return PhoneNumber(error=_LENGTH_ERRORS.get(verdict, "phone_impossible_length"))
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if not re.fullmatch(E164_PATTERN, e164):
        return PhoneNumber(error="phone_impossible_length")
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:  # is_valid_number says just that, at the same cost again
        warnings = [*warnings, "phone_unassigned_range"]
    elif kind in _NOT_A_PERSON:
        warnings = [*warnings, "phone_service_line"]
    return PhoneNumber(e164=e164, warnings=tuple(warnings))


def _by_country(number: phonenumbers.PhoneNumber, *, mobile_hint: bool) -> tuple[str | None, list[str]]:
    """The national number after the country's habits, None if it lacks its area code; and warning codes."""
    national = phonenumbers.national_significant_number(number)
    if number.country_code == 56:
        return _chilean(national)
    if number.country_code == 54:
        return _argentine(national, mobile_hint=mobile_hint)
    if number.country_code == 52:
        return _mexican(national), []
    return national, []


def _chilean(national: str) -> tuple[str, list[str]]:
    """Drops the old trunk 0, and puts back the 2 (Santiago) or 9 (mobile) that eight-digit numbers lack."""
    if len(national) == 10 and national[0] == "0":
        national = national[1:]
    if len(national) == 8 and national[0] in "256789":
        repaired = ("2" if national[0] == "2" else "9") + national
        if _is_valid(56, repaired):
            return repaired, ["phone_repaired"]
    return national, []


def _argentine(national: str, *, mobile_hint: bool) -> tuple[str | None, list[str]]:
    """Mobiles are +54 9 area number, at home "area 15 number"; without the 9 they look like fixed lines."""
    national = _without_argentine_15(national)
    if len(national) != 10:
        return national, []
    if national.startswith("15"):
        return None, []
    if mobile_hint and _is_valid(54, "9" + national):
        return "9" + national, []
    if _is_valid(54, national) and _is_valid(54, "9" + national):
        return national, ["phone_mobile_unclear"]
    return national, []


def _without_argentine_15(national: str) -> str:
    """9 11 15 2345 6789 without its 15, where an area code of two to four digits leaves a valid number."""
    if len(national) == 13 and national[0] == "9":
        for area in (2, 3, 4):
            without = national[: 1 + area] + national[3 + area :]
            if national[1 + area : 3 + area] == "15" and _is_valid(54, without):
                return without
    return national


def _mexican(national: str) -> str:
    """Without the mobile 1 (until 2019), or 044/045 left after the country code."""
    if len(national) == 11 and national[0] == "1":
        return national[1:]
    return national


def _without_mexican_prefix(dialled: str, region: str | None) -> str:
    """044/045 before ten digits, as mobiles were dialled in Mexico until 2019."""
    match = re.fullmatch(r"(\+?52)?(?:04[45]|1)(\d{10})", dialled)
    if match and (match.group(1) == "+52" or region == "MX"):
        return "+52" + match.group(2)
    return dialled


def _is_valid(country_code: int, national: str) -> bool:
    return phonenumbers.is_valid_number(
        phonenumbers.PhoneNumber(country_code=country_code, national_number=int(national))
    )
