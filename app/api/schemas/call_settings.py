"""`call_settings` of a batch, in the contract's flat shape."""

import re
from datetime import time
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from app.api.schemas.common import Reply, Request, Zone, invalid, optional_field
from app.domain.batches import CALL_SECONDS, RING_SECONDS, CallSettings
from app.domain.calling_hours import CallingHours

_DEFAULT = CallSettings()
_HH_MM = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


def _wall_clock(value: str) -> str:
    if not _HH_MM.fullmatch(value):
        raise invalid("time_not_hh_mm", value=value[:20])
    return value


def _a_day_at_least(value: object) -> object:
    if isinstance(value, list) and not value:
        raise invalid("days_of_week_empty")
    return value


Duration = Annotated[int, Field(ge=CALL_SECONDS[0], le=CALL_SECONDS[1], description="Seconds.")]
RingTimeout = Annotated[int, Field(ge=RING_SECONDS[0], le=RING_SECONDS[1], description="Seconds.")]
Attempts = Annotated[int, Field(ge=1, le=20, description="Per contact, over all of its phones.")]
RetryDelay = Annotated[float, Field(gt=0, le=24 * 90, allow_inf_nan=False, description="Hours; fractions allowed.")]
WallClock = Annotated[str, AfterValidator(_wall_clock), Field(examples=["09:00"])]
Day = Annotated[int, Field(strict=True, ge=0, le=7)]
Days = Annotated[
    list[Day],
    BeforeValidator(_a_day_at_least),
    Field(max_length=50, description="1 is Monday … 6 Saturday, 0 (or 7) Sunday. At least one."),
]


class AllowedHours(Request):
    """Wall-clock times in `timezone`. An end before the start crosses midnight; equal means the whole day."""

    start: WallClock
    end: WallClock


class CallSettingsRequest(Request):
    max_call_duration: Duration = _DEFAULT.max_call_duration
    ring_timeout: RingTimeout = _DEFAULT.ring_timeout
    max_attempts: Attempts = _DEFAULT.max_attempts
    retry_delay_hours: RetryDelay = _DEFAULT.retry_delay_hours
    allowed_hours: AllowedHours = AllowedHours(start=f"{_DEFAULT.hours.start:%H:%M}", end=f"{_DEFAULT.hours.end:%H:%M}")
    days_of_week: Days = sorted(_DEFAULT.hours.days_of_week)
    timezone: Zone = _DEFAULT.hours.timezone

    def to_domain(self) -> CallSettings:
        hours = CallingHours(
            start=time.fromisoformat(self.allowed_hours.start),
            end=time.fromisoformat(self.allowed_hours.end),
            days_of_week=frozenset(self.days_of_week),
            timezone=self.timezone,
        )
        plain = self.model_dump(exclude={"allowed_hours", "days_of_week", "timezone"})
        return CallSettings(**plain, hours=hours)


class AllowedHoursChange(Request):
    start: WallClock = optional_field("")
    end: WallClock = optional_field("")


class CallSettingsChange(Request):
    """Any subset; what is left out stays as it is."""

    max_call_duration: Duration = optional_field(0)
    ring_timeout: RingTimeout = optional_field(0)
    max_attempts: Attempts = optional_field(0)
    retry_delay_hours: RetryDelay = optional_field(0)
    allowed_hours: AllowedHoursChange = optional_field(AllowedHoursChange())
    days_of_week: Days = optional_field([])
    timezone: Zone = optional_field("")

    def to_changes(self) -> dict[str, Any]:
        """What was sent, field by field under the stored names, so that two changes at once both last.

        No rule spans two fields: settings of which every field is good are good.
        """
        sent = self.model_dump(exclude_unset=True)
        hours: dict[str, Any] = {
            f"hours.{end}": time.fromisoformat(text) for end, text in sent.pop("allowed_hours", {}).items()
        }
        if "days_of_week" in sent:
            hours["hours.days_of_week"] = frozenset(day % 7 for day in sent.pop("days_of_week"))
        if "timezone" in sent:
            hours["hours.timezone"] = sent.pop("timezone")
        return {f"call_settings.{name}": value for name, value in {**sent, **hours}.items()}


class CallSettingsReply(Reply):
    max_call_duration: int
    ring_timeout: int
    max_attempts: int
    retry_delay_hours: float
    allowed_hours: AllowedHours
    days_of_week: list[int]
    timezone: str


def call_settings_reply(settings: CallSettings) -> CallSettingsReply:
    hours = settings.hours
    return CallSettingsReply(
        max_call_duration=settings.max_call_duration,
        ring_timeout=settings.ring_timeout,
        max_attempts=settings.max_attempts,
        retry_delay_hours=settings.retry_delay_hours,
        allowed_hours=AllowedHours(start=f"{hours.start:%H:%M}", end=f"{hours.end:%H:%M}"),
        days_of_week=sorted(hours.days_of_week),
        timezone=hours.timezone,
    )
