"""Public holidays of a country or one of its subdivisions, as the `holidays` package knows them.

The package is data and arithmetic: it reads no clock, no file and no network. Only the holidays it lists by default
are used (its category "public", the days on which a country as a whole rests, with the days on which they are
observed); bank, school and religious days of a part of the people are not.
"""

from datetime import date
from functools import cache, lru_cache
from typing import Self

import holidays
from pydantic import BaseModel, ConfigDict, model_validator


class HolidayCalendar(BaseModel):
    """`country` is ISO 3166-1 (`CL`); `subdivision` is ISO 3166-2 without it (`RM`), or None for the whole country."""

    model_config = ConfigDict(frozen=True)

    country: str
    subdivision: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.country not in supported_calendars():
            raise ValueError(f"no holidays are known of {self.country!r}")
        if self.subdivision is not None and self.subdivision not in supported_calendars()[self.country]:
            raise ValueError(f"no holidays are known of {self.subdivision!r} in {self.country}")
        return self

    def is_holiday(self, day: date) -> bool:
        """Whether `day` is a holiday, or of a year for which the package has no data: then nobody is to be called."""
        days = year_days(self.country, self.subdivision, day.year)
        return days is None or day in days


@cache
def supported_calendars() -> dict[str, frozenset[str]]:
    """The countries, each with its subdivisions."""
    countries = holidays.list_supported_countries(include_aliases=False)
    return {country: frozenset(subdivisions) for country, subdivisions in countries.items()}


@lru_cache(maxsize=4096)
def year_days(country: str, subdivision: str | None, year: int) -> frozenset[date] | None:
    """A year's holidays, None if the package does not cover the year. Computed once: it takes about a millisecond."""
    calendar = holidays.country_holidays(country, subdiv=subdivision, expand=False)
    if not calendar.start_year <= year <= calendar.end_year:
        return None
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False))
