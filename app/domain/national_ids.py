"""The check digit of a Chilean RUT. Other countries' ids are taken as they are."""

import re
from operator import mul

# The dash is as a RUT is mostly written: nothing need be taken out of it.
_RUT = re.compile(r"0*([1-9]\d{5,7})-?([\dkK])", re.ASCII)
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_WEIGHTS = (2, 3, 4, 5, 6, 7, 2, 3)
_SEPARATORS = re.compile(r"[\s.,\-\u2010-\u2015\u2212]+")


def is_rut(text: str) -> bool:
    """Whether `text` is a RUT with the right check digit: modulo 11, weights 2 to 7 from the right."""
    match = _match(text)
    return match is not None and _is_right(match)


def has_wrong_check_digit(text: str) -> bool:
    """Whether `text` is written as a RUT, but for its check digit. Anything else ("pasaporte 123") is not judged."""
    match = _match(text)
    return match is not None and not _is_right(match)


def _match(text: str) -> re.Match[str] | None:
    return _RUT.fullmatch(text) or _RUT.fullmatch(_SEPARATORS.sub("", text))


def _is_right(match: re.Match[str]) -> bool:
    number, digit = match.groups()
    total = sum(map(mul, reversed(number.encode().translate(_VALUES)), _WEIGHTS))
    return bool("0123456789K"[-total % 11] == digit.upper())
