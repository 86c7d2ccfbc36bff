"""`call_settings` of a batch, in the contract's flat shape."""

import re
from datetime import time
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from app.api.schemas.common import Reply, Request, Zone, invalid, is_off, optional_field
from app.domain.batches import CALL_SECONDS, RING_SECONDS, CallSettings
from app.domain.calling_hours import CallingHours
from app.domain.holiday_calendar import HolidayCalendar, supported_calendars
from app.domain.outcomes import Disposition
from app.domain.retry_rules import DELAY_HOURS_MAX, RetryRule

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
RetryDelay = Annotated[
    float, Field(gt=0, le=DELAY_HOURS_MAX, allow_inf_nan=False, description="Hours; fractions allowed.")
]
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


class Holidays(Request):
    """No calls on the public holidays of a country or, if one is named, of its subdivision."""

    country: Annotated[str, Field(description="ISO 3166-1, two letters.", examples=["CL"])]
    subdivision: Annotated[str, Field(description="ISO 3166-2 without the country.", examples=["RM"])] | None = None

    @field_validator("country")
    @classmethod
    def _known_country(cls, value: str) -> str:
        country = value.strip().upper()
        if country not in supported_calendars():
            raise invalid(
                "holidays_country_unknown", value=value[:20], supported=", ".join(sorted(supported_calendars()))
            )
        return country

    @field_validator("subdivision")
    @classmethod
    def _known_subdivision(cls, value: str | None, info: ValidationInfo) -> str | None:
        country = info.data.get("country")
        if value is None or country is None:
            return value
        supported = supported_calendars()[country]
        known = next((name for name in supported if name.casefold() == value.strip().casefold()), None)
        if known is None:
            raise invalid(
                "holidays_subdivision_unknown",
                value=value[:20],
                country=country,
                supported=", ".join(sorted(supported)) or "–",
            )
        return known


class OutcomeRule(Request):
    """What is left out, or null, is as for all outcomes."""

    delay_hours: RetryDelay | None = None
    max: (
        Annotated[
            int,
            Field(
                ge=0,
                le=20,
                description="So many attempts that ended so are followed by another one; the next is the last.",
            ),
        ]
        | None
    ) = None


class OutcomeRules(Request):
    """By what an attempt came to."""

    voicemail: OutcomeRule | None = None
    silence: OutcomeRule | None = None
    no_answer: OutcomeRule | None = None
    busy: OutcomeRule | None = None
    declined: OutcomeRule | None = None
    failed: OutcomeRule | None = None
    unknown: OutcomeRule | None = None

    def to_changes(self) -> dict[str, Any]:
        """What was sent, by its path; None removes."""
        changes: dict[str, Any] = {}
        for outcome, rule in self.model_dump(exclude_unset=True).items():
            if rule is None:
                changes[outcome] = None
            else:
                changes |= {f"{outcome}.{field}": value for field, value in rule.items()}
        return changes


class CallSettingsRequest(Request):
    max_call_duration: Duration = _DEFAULT.max_call_duration
    ring_timeout: RingTimeout = _DEFAULT.ring_timeout
    max_attempts: Attempts = _DEFAULT.max_attempts
    retry_delay_hours: RetryDelay = _DEFAULT.retry_delay_hours
    allowed_hours: AllowedHours = AllowedHours(start=f"{_DEFAULT.hours.start:%H:%M}", end=f"{_DEFAULT.hours.end:%H:%M}")
    days_of_week: Days = sorted(_DEFAULT.hours.days_of_week)
    timezone: Zone = _DEFAULT.hours.timezone
    holidays: Holidays | None = None
    retry_rules: OutcomeRules | None = None

    def to_domain(self) -> CallSettings:
        hours = CallingHours(
            start=time.fromisoformat(self.allowed_hours.start),
            end=time.fromisoformat(self.allowed_hours.end),
            days_of_week=frozenset(self.days_of_week),
            timezone=self.timezone,
            holidays=None if self.holidays is None else HolidayCalendar(**self.holidays.model_dump()),
        )
        plain = self.model_dump(exclude={"allowed_hours", "days_of_week", "timezone", "holidays", "retry_rules"})
        rules = self.retry_rules.model_dump(exclude_none=True) if self.retry_rules else {}
        return CallSettings(**plain, hours=hours, retry_rules=rules)


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
    holidays: Annotated[Holidays | None, Field(description="As a whole; null calls on holidays too.")] = None
    retry_rules: Annotated[
        OutcomeRules | None, Field(description="Any subset; null removes a number, a rule, or all rules.")
    ] = None

    def to_changes(self) -> dict[str, Any]:
        """What was sent, field by field under the stored names, so that two changes at once both last.

        No rule spans two fields: settings of which every field is good are good.
        """
        sent = self.model_dump(exclude_unset=True)
        if sent.pop("retry_rules", None) is not None and self.retry_rules is not None:
            sent |= {f"retry_rules.{path}": value for path, value in self.retry_rules.to_changes().items()}
        elif "retry_rules" in self.model_fields_set:
            sent["retry_rules"] = None
        hours: dict[str, Any] = {
            f"hours.{end}": time.fromisoformat(text) for end, text in sent.pop("allowed_hours", {}).items()
        }
        if "days_of_week" in sent:
            hours["hours.days_of_week"] = frozenset(day % 7 for day in sent.pop("days_of_week"))
        if "timezone" in sent:
            hours["hours.timezone"] = sent.pop("timezone")
        if "holidays" in sent:
            hours["hours.holidays"] = sent.pop("holidays")
        return {f"call_settings.{name}": value for name, value in {**sent, **hours}.items()}


class CallSettingsReply(Reply):
    max_call_duration: int
    ring_timeout: int
    max_attempts: int
    retry_delay_hours: float
    allowed_hours: AllowedHours
    days_of_week: list[int]
    timezone: str
    holidays: HolidayCalendar | None = Field(default=None, exclude_if=is_off, description="Absent: none are kept.")
    retry_rules: dict[Disposition, RetryRule] = Field(default={}, exclude_if=is_off, description="Absent: none.")


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
        holidays=hours.holidays,
        retry_rules={outcome: rule for outcome, rule in settings.retry_rules.items() if rule != RetryRule()},
    )
