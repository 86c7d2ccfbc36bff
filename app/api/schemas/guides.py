"""Bodies of what helps to set a campaign up: windows to come, time zones, ready-made campaigns."""

from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from app.api.schemas.call_settings import CallSettingsReply, CallSettingsRequest, call_settings_reply
from app.api.schemas.common import FutureInstant, Instant, Reply, Request, invalid
from app.domain.calling_hours import CallingHours
from app.domain.messages import Language
from app.domain.phone_regions import region_of_timezone
from app.domain.upcoming_windows import Window, clock_changes, next_windows, skipped_holidays
from app.domain.use_cases import Column, UseCase

MOST_WINDOWS = 60
_YEARS = range(2000, 2200)


def _near(value: datetime) -> datetime:
    if value.year not in _YEARS:
        raise invalid("instant_out_of_range")
    return value


class PreviewWindows(Request):
    """`call_settings` as a batch takes them."""

    call_settings: CallSettingsRequest
    start: Annotated[
        Annotated[FutureInstant, AfterValidator(_near)] | None,
        Field(alias="from", description="By default now."),
    ] = None
    count: Annotated[int, Field(ge=1, le=MOST_WINDOWS, description="How many windows.")] = 10


class WindowReply(Reply):
    opens_at: Instant
    closes_at: Instant = Field(description="From here on nobody is called; the last call starts 30 s before.")
    opens_local: str = Field(description="The same on the wall clock, with its offset.")
    closes_local: str
    weekday: int = Field(description="0 is Sunday … 6 Saturday, of the local date on which it opens.")


class ClockChangeReply(Reply):
    at: Instant
    offset_before: str
    offset_after: str


class WindowsReply(Reply):
    timezone: str
    windows: list[WindowReply] = Field(description="Fewer than asked for where the holidays to come are not known.")
    skipped_holidays: list[date] = Field(description="Days among them on which nobody is called for a holiday.")
    clock_changes: list[ClockChangeReply]


def windows_reply(body: PreviewWindows, now: datetime) -> WindowsReply:
    hours, start = body.call_settings.to_domain().hours, body.start or now
    windows = next_windows(start, hours, body.count)
    end = windows[-1].closes_at if windows else start
    return WindowsReply(
        timezone=hours.timezone,
        windows=[_window(window, hours) for window in windows],
        skipped_holidays=skipped_holidays(start, end, hours),
        clock_changes=[
            ClockChangeReply(at=after.since, offset_before=_offset(before.offset), offset_after=_offset(after.offset))
            for before, after in clock_changes(start, end, hours.timezone)
        ],
    )


def _window(window: Window, hours: CallingHours) -> WindowReply:
    opens, closes = (at.astimezone(ZoneInfo(hours.timezone)) for at in window)
    return WindowReply(
        opens_at=window.opens_at,
        closes_at=window.closes_at,
        opens_local=opens.isoformat(timespec="seconds"),
        closes_local=closes.isoformat(timespec="seconds"),
        weekday=opens.isoweekday() % 7,
    )


class TimeZoneReply(Reply):
    timezone: str
    utc_offset: str = Field(description="At present.", examples=["-03:00"])
    offset_minutes: int
    country: str | None = Field(description="ISO 3166-1; null for a zone of no country.")


def time_zone_reply(name: str, now: datetime) -> TimeZoneReply:
    offset = now.astimezone(ZoneInfo(name)).utcoffset() or timedelta(0)
    return TimeZoneReply(
        timezone=name,
        utc_offset=_offset(offset),
        offset_minutes=round(offset.total_seconds() / 60),
        country=region_of_timezone(name),
    )


class ColumnReply(Reply):
    name: str = Field(description="Also of the variable `{{name}}`.")
    description: str
    example: str


class UseCaseReply(Reply):
    use_case_id: str
    name: str
    description: str
    required_columns: list[ColumnReply]
    optional_columns: list[ColumnReply]
    script_template: str = Field(description="For `script_content`. In Spanish, whatever the language asked for.")
    call_settings: CallSettingsReply = Field(description="For `call_settings` of a batch, as it is.")


def use_case_reply(use_case: UseCase, language: Language) -> UseCaseReply:
    return UseCaseReply(
        use_case_id=use_case.use_case_id,
        name=use_case.name.render(language),
        description=use_case.description.render(language),
        required_columns=[_column(column, language) for column in use_case.required],
        optional_columns=[_column(column, language) for column in use_case.optional],
        script_template=use_case.script,
        call_settings=call_settings_reply(use_case.call_settings),
    )


def _column(column: Column, language: Language) -> ColumnReply:
    return ColumnReply(name=column.name, description=column.description.render(language), example=column.example)


def _offset(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
