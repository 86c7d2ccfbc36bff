"""When somebody who asked to be called later wants to be called. Pure, and never raises: what an agent wrote down may
be anything.

The time is looked for in the variables that the agent collected, then in the analysis that was made of the call
(`custom_analysis_data`), under the names of `NAMES` in their order; of `DATES` with `TIMES` if date and time stand
apart. Without an offset it is by the contact's own clock.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from app.domain.calls import CallReport

NAMES: Final = ("callback_at", "callback_time", "fecha_hora_llamada_cliente", "hora_llamada_cliente")
"""Where a whole time stands, or `HH:MM` alone: the next one."""
DATES: Final = ("callback_date", "fecha_llamada_cliente")
TIMES: Final = ("callback_time", "hora_llamada_cliente")
LATEST: Final = timedelta(days=30)
"""A time further away is taken for a misunderstanding."""

_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
_OFFSET = r"(?:\s*(?P<offset>Z|[+-]\d{2}:?\d{2}))?"
_YEAR_FIRST = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_DAY_FIRST = r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (rf"{_YEAR_FIRST}(?:T|\s+){_TIME}{_OFFSET}", rf"{_DAY_FIRST}\s+{_TIME}", _TIME)
)
_LONGEST = 64


def callback_time(report: CallReport | None, timezone: str, now: datetime) -> datetime | None:
    """The usable time that `report` names, in UTC: after `now` and at most 30 days from it. None if there is none."""
    if report is None:
        return None
    zone = ZoneInfo(timezone)
    return next((at for text in _texts(report) if (at := parse_time(text, zone, now)) is not None), None)


def parse_time(text: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """`text` as a usable instant in UTC: `2026-06-04T18:00[:00][Z|±HH:MM]`, `2026-06-04 18:00`, `04/06/2026 18:00` (day
    first) or `18:00` (the next); None if it is anything else, over, or too far away.

    A time that the clock skips is taken as if it had not been put forward; of one that comes twice the first that is
    still to come.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if found is None:
        return None
    try:
        return next((at for at in _instants(found.groupdict(), zone, now) if now < at <= now + LATEST), None)
    except (ValueError, OverflowError):
        # 31 February, 25 o'clock, the year 0.
        return None


def _texts(report: CallReport) -> Iterator[str]:
    analysed = (report.analysis or {}).get("custom_analysis_data")
    for source in (report.collected_variables, analysed):
        if not isinstance(source, Mapping):
            continue
        values = {str(name): str(value).strip() for name, value in source.items() if isinstance(value, str)}
        dated = [day for day in DATES if values.get(day)]
        yield from (f"{values[day]} {values[hour]}" for day in dated for hour in TIMES if hour in values)
        # A time whose date was not understood is not the next such time: nobody agreed on that.
        yield from (values[name] for name in NAMES if name in values and not (dated and name in TIMES))


def _instants(parts: Mapping[str, Any], zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """What the parts may mean; the first that is still to come is meant."""
    clock = time(int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0))
    if parts.get("year"):
        wall = datetime.combine(date(int(parts["year"]), int(parts["month"]), int(parts["day"])), clock)
        if parts.get("offset"):
            yield wall.replace(tzinfo=_offset(parts["offset"])).astimezone(UTC)
        else:
            yield from _by_clock(wall, zone)
        return
    today = now.astimezone(zone).date()
    for days in range(3):
        yield from _by_clock(datetime.combine(today + timedelta(days=days), clock), zone)


def _by_clock(wall: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    for fold in (0, 1):
        yield wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _offset(text: str) -> timezone:
    if text.upper() == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
