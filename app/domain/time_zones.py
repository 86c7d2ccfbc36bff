"""The names of time zones."""

from functools import cache
from importlib.resources import files


def time_zone_names() -> list[str]:
    """Every IANA time zone, in alphabetical order."""
    return sorted(_zone_names())


def is_time_zone(name: str) -> bool:
    """Whether `name` is an IANA time zone."""
    return name in _zone_names()


def time_zone_of(text: str) -> str | None:
    """The IANA name that a person wrote, in any letter case and with spaces for underscores; None if there is none."""
    return _zones_by_folded_name().get("_".join(text.split()).casefold())


@cache
def _zones_by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in _zone_names()}


@cache
def _zone_names() -> frozenset[str]:
    """The names of IANA, the same on every machine.

    ZoneInfo would also open "localtime", "right/…" (27 leap seconds off) and whatever else the system has.
    """
    names = files("tzdata").joinpath("zones").read_text("utf-8").split()
    return frozenset(names) - {"Factory"}  # IANA's name for "not set"
