"""The check digit of a Chilean RUT. Other countries' ids are taken as they are."""

import re
from operator import mul

_RUT = re.compile(r"0*([1-9]\d{5,7})([\dkK])")
_WEIGHTS = (2, 3, 4, 5, 6, 7, 2, 3)
_SEPARATORS = re.compile(r"[\s.,\-\u2010-\u2015\u2212]+")


def is_rut(text: str) -> bool:
    """Whether `text` is a RUT with the right check digit: modulo 11, weights 2 to 7 from the right."""
    match = _RUT.fullmatch(_bare(text))
    return match is not None and match.group(2).upper() == _check_digit(match.group(1))


def has_wrong_check_digit(text: str) -> bool:
    """Whether `text` is written as a RUT, but for its check digit. Anything else ("pasaporte 123") is not judged."""
    return _RUT.fullmatch(_bare(text)) is not None and not is_rut(text)


def _bare(text: str) -> str:
    return _SEPARATORS.sub("", text)


def _check_digit(number: str) -> str:
    total = sum(map(mul, map(int, reversed(number)), _WEIGHTS))
    return "0123456789K"[-total % 11]
