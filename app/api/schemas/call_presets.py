"""Country presets of caps and hours."""

from pydantic import Field

from app.api.schemas.call_settings import AllowedHours
from app.api.schemas.common import Reply
from app.domain.call_presets import CallPreset, PresetHours
from app.domain.messages import Language, render
from app.domain.person_caps import PersonCap


class PresetHolidays(Reply):
    country: str


class PresetCallSettings(Reply):
    """For `call_settings` of a batch, as it is."""

    allowed_hours: AllowedHours
    days_of_week: list[int]
    timezone: str = Field(description="Where most of the country lives.")
    holidays: PresetHolidays | None


class PresetReply(Reply):
    country: str
    rule: str
    sources: list[str]
    notice: str
    person_caps: list[PersonCap] = Field(description="For `settings.person_caps` of an account.")
    call_settings: PresetCallSettings | None = Field(description="null where the rules name no hours.")


def preset_reply(preset: CallPreset, language: Language) -> PresetReply:
    return PresetReply(
        country=preset.country,
        rule=preset.rule.render(language),
        sources=preset.sources,
        notice=render("preset_not_legal_advice", language),
        person_caps=preset.person_caps,
        call_settings=None if preset.hours is None else _call_settings(preset.hours, preset.country),
    )


def _call_settings(hours: PresetHours, country: str) -> PresetCallSettings:
    return PresetCallSettings(
        allowed_hours=AllowedHours(start=f"{hours.start:%H:%M}", end=f"{hours.end:%H:%M}"),
        days_of_week=sorted(hours.days_of_week),
        timezone=hours.timezone,
        holidays=PresetHolidays(country=country) if hours.holidays else None,
    )
