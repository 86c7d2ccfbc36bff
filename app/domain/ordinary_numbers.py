"""Ordinary numbers of the countries that are called most, each country by one regular expression.

Nearly every number of a list is written in full, and `phonenumbers` takes 20 µs for each. The expressions are made of
the library's own tables and say what it says, or nothing: a service line, a number outside the plan or one that needs a
rule of its country is left to the library.
"""

import re
from functools import lru_cache

from phonenumbers import PhoneMetadata

_COUNTRY_CODES = {
    "AR": "54",
    "BO": "591",
    "BR": "55",
    "CL": "56",
    "CO": "57",
    "CR": "506",
    "EC": "593",
    "ES": "34",
    "GT": "502",
    "HN": "504",
    "MX": "52",
    "NI": "505",
    "PA": "507",
    "PE": "51",
    "PT": "351",
    "PY": "595",
    "SV": "503",
    "UY": "598",
    "VE": "58",
}
"""Countries that share their code with no other."""
_REGIONS = {code: region for region, code in _COUNTRY_CODES.items()}


_PUNCTUATION = str.maketrans("", "", " -()")


def ordinary_number(cell: str, region: str | None) -> str | None:
    """The E.164 form of the one mobile or fixed line in `cell`, with its country code or, in `region`, without.

    None says nothing about the cell.
    """
    written = cell if cell[1:].isdigit() else cell.translate(_PUNCTUATION)
    if written[:1] == "+":
        pattern = _pattern_of_code(written[1:4])
        return written if pattern and pattern.fullmatch(written) else None
    if region not in _COUNTRY_CODES:
        return None
    match = _pattern(region).fullmatch(written)
    return f"+{_COUNTRY_CODES[region]}{match.group(1)}" if match else None


@lru_cache(maxsize=1000)
def _pattern_of_code(digits: str) -> re.Pattern[str] | None:
    """Of the country whose code the first three digits of a number begin with."""
    region = _REGIONS.get(digits[:2]) or _REGIONS.get(digits)
    return _pattern(region) if region else None


@lru_cache
def _pattern(region: str) -> re.Pattern[str]:
    """The people's numbers, but for those that the library first finds to be service lines."""
    metadata = PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.mobile is None or metadata.fixed_line is None:
        raise LookupError(f"phonenumbers lacks the table of {region}")
    services = (
        metadata.premium_rate,
        metadata.toll_free,
        metadata.shared_cost,
        metadata.voip,
        metadata.personal_number,
        metadata.pager,
        metadata.uan,
        metadata.voicemail,
    )
    others = "|".join(kind.national_number_pattern for kind in services if kind and kind.national_number_pattern)
    people = f"{metadata.mobile.national_number_pattern}|{metadata.fixed_line.national_number_pattern}"
    # An Argentine number without the 9 of mobiles may be one all the same: phone_numbers says so.
    sure = "(?=9)" if region == "AR" else ""
    return re.compile(rf"(?:\+?{_COUNTRY_CODES[region]})?(?!(?:{others})$){sure}({people})", re.ASCII)
