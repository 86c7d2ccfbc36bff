"""Which country a time zone or a "país" column means: its numbers may be written without a country code."""

import unicodedata
from importlib.resources import files

import phonenumbers


def region_of_timezone(tz: str) -> str | None:
    """The country (ISO 3166) of an IANA time zone; None where a zone is of none (UTC) or unknown."""
    if tz in _REGION_OF_ZONE:
        return _REGION_OF_ZONE[tz]
    return _REGION_OF_OLD_ZONE.get(tz) or _REGION_OF_OLD_PREFIX.get(tz.rpartition("/")[0])


def region_of_country(text: str) -> str | None:
    """The ISO 3166 code of what a "país" column says: CL, CHL, Chile, Brasil, +56; None if unknown."""
    words = unicodedata.normalize("NFKD", text.strip().casefold())
    key = "".join(char for char in words if char.isalnum())
    if key.isdigit():
        region = phonenumbers.region_code_for_country_code(int(key)) if len(key) <= 3 else "ZZ"
        return region if len(region) == 2 and region.isalpha() and region != "ZZ" else None
    if key.upper() in phonenumbers.SUPPORTED_REGIONS:
        return key.upper()
    return _REGION_OF_COUNTRY_NAME.get(key)


def _regions_of_zones() -> dict[str, str]:
    """zone.tab: country, coordinates, zone, remark; the first country is the one the zone's city lies in."""
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    fields = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return {zone: country for country, _, zone, *_ in fields}


_REGION_OF_ZONE = _regions_of_zones()

# Names that zone.tab leaves out: tzdata keeps them as links, and a link may lead into another country.
_REGION_OF_OLD_PREFIX = {
    "America/Argentina": "AR",
    "Brazil": "BR",
    "Canada": "CA",
    "Chile": "CL",
    "Mexico": "MX",
    "US": "US",
}
_REGION_OF_OLD_ZONE = {
    "America/Atka": "US",
    "America/Buenos_Aires": "AR",
    "America/Catamarca": "AR",
    "America/Coral_Harbour": "CA",
    "America/Cordoba": "AR",
    "America/Ensenada": "MX",
    "America/Fort_Wayne": "US",
    "America/Godthab": "GL",
    "America/Indianapolis": "US",
    "America/Jujuy": "AR",
    "America/Knox_IN": "US",
    "America/Louisville": "US",
    "America/Mendoza": "AR",
    "America/Montreal": "CA",
    "America/Nipigon": "CA",
    "America/Pangnirtung": "CA",
    "America/Porto_Acre": "BR",
    "America/Rainy_River": "CA",
    "America/Rosario": "AR",
    "America/Santa_Isabel": "MX",
    "America/Shiprock": "US",
    "America/Thunder_Bay": "CA",
    "America/Virgin": "VI",
    "America/Yellowknife": "CA",
    "Cuba": "CU",
    "Jamaica": "JM",
    "Navajo": "US",
    "Portugal": "PT",
}

_REGION_OF_COUNTRY_NAME = {
    "argentina": "AR",
    "arg": "AR",
    "bolivia": "BO",
    "bol": "BO",
    "brasil": "BR",
    "brazil": "BR",
    "bra": "BR",
    "canada": "CA",
    "chile": "CL",
    "chl": "CL",
    "colombia": "CO",
    "col": "CO",
    "costarica": "CR",
    "cri": "CR",
    "cuba": "CU",
    "cub": "CU",
    "ecuador": "EC",
    "equador": "EC",
    "ecu": "EC",
    "elsalvador": "SV",
    "slv": "SV",
    "espana": "ES",
    "espanha": "ES",
    "spain": "ES",
    "esp": "ES",
    "estadosunidos": "US",
    "eeuu": "US",
    "usa": "US",
    "unitedstates": "US",
    "guatemala": "GT",
    "gtm": "GT",
    "honduras": "HN",
    "hnd": "HN",
    "mexico": "MX",
    "mex": "MX",
    "nicaragua": "NI",
    "nic": "NI",
    "panama": "PA",
    "pan": "PA",
    "paraguay": "PY",
    "paraguai": "PY",
    "pry": "PY",
    "peru": "PE",
    "per": "PE",
    "portugal": "PT",
    "puertorico": "PR",
    "pri": "PR",
    "republicadominicana": "DO",
    "dominicanrepublic": "DO",
    "dom": "DO",
    "uruguay": "UY",
    "uruguai": "UY",
    "ury": "UY",
    "venezuela": "VE",
    "ven": "VE",
}
