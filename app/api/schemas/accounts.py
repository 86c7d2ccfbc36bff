"""Request bodies of /accounts."""

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from app.api.schemas.common import (
    AgentId,
    Amount,
    AnyCase,
    Email,
    FromNumber,
    Name,
    Request,
    Text,
    Zone,
    checked,
    invalid,
    optional_field,
)
from app.domain.accounts import AccountStatus, Features
from app.domain.errors import FieldError, InvalidInput
from app.domain.money import Plan, Pricing
from app.domain.person_caps import MAX_CAPS, CapCounts, CapPeriod, PersonCap
from app.domain.phone_regions import region_of_country
from app.domain.privacy import RECORDING_DAYS, RETENTION_DAYS
from app.services.accounts import NewAccount


def _iso_country(value: str) -> str:
    region = region_of_country(value) if len(value.strip()) == 2 else None
    if region is None:
        raise invalid("country_not_iso", value=value[:60])
    return region


Country = Annotated[str, AfterValidator(_iso_country), Field(examples=["CL"])]
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

AccountId = Annotated[
    str,
    checked(lambda value: _ACCOUNT_ID.fullmatch(value) is not None, "account_id_malformed"),
    Field(description="Yours to choose; generated if left out.", examples=["acc-chile-001"]),
]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)]
CreditsPerMinute = Annotated[Decimal, Field(gt=0, le=1_000_000, decimal_places=4, allow_inf_nan=False)]
CostPerMinute = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=4, allow_inf_nan=False)]
Increment = Annotated[int, Field(ge=1, le=60)]


def _refuse_call_settings(_: object) -> None:
    raise invalid("call_settings_belong_to_batch")


NoCallSettings = Annotated[SkipJsonSchema[None], BeforeValidator(_refuse_call_settings)]
"""A field that is known only to say where it belongs."""


class PersonCapRequest(Request):
    """At most `max` attempts or conversations with one person (same national id or phone), over all batches.

    `day` is the calendar day where the person is; `rolling` is `days` times 24 hours.
    """

    counts: Annotated[CapCounts, AnyCase]
    max: Annotated[int, Field(ge=1, le=50)]
    period: Annotated[CapPeriod, AnyCase]
    days: Annotated[int, Field(ge=1, le=365)] | None = None

    @model_validator(mode="after")
    def _days_if_rolling(self) -> Self:
        if self.period is CapPeriod.ROLLING and self.days is None:
            raise invalid("cap_days_missing")
        if self.period is not CapPeriod.ROLLING and self.days is not None:
            raise invalid("cap_days_not_wanted")
        return self

    def to_domain(self) -> PersonCap:
        return PersonCap(**self.model_dump())


PersonCaps = Annotated[
    list[PersonCapRequest],
    Field(max_length=MAX_CAPS, description="All of them hold; none: as often as the batches say. See /call-presets."),
]


def _long_enough(value: int) -> int:
    if 0 < value < RETENTION_DAYS[0]:
        raise invalid("retention_too_short", days=RETENTION_DAYS[0])
    return value


RetentionDays = Annotated[int, Field(ge=0, le=RETENTION_DAYS[1]), AfterValidator(_long_enough)]
RecordingDays = Annotated[int, Field(ge=0, le=RECORDING_DAYS[1])]


class AccountSettings(Request):
    """How the account's operators see time (months and dates are in this zone), and how often a person is called."""

    timezone: Zone = "America/Santiago"
    person_caps: PersonCaps = Field(default=[])
    retention_days: RetentionDays | None = Field(
        default=None,
        description="Days from a batch's end to the erasing of its contacts, at least 7 and as many as a cap looks "
        "back; 0: never; null: as Cadencia is set up.",
    )
    recording_retention_days: RecordingDays | None = Field(
        default=None, description="The same of the links to recordings; the calls are deleted at Retell too."
    )
    call_settings: NoCallSettings = None


class CreateAccount(Request):
    account_id: AccountId | None = None
    account_name: Name
    contact_name: Name
    contact_email: Email
    contact_phone: Phone | None = None
    plan_type: Annotated[Plan, AnyCase]
    initial_credits: Amount = Decimal(0)
    initial_minutes: Amount = Decimal(0)
    features: Features = Features()
    settings: AccountSettings = AccountSettings()
    country: Country | None = None
    cost_per_minute: CostPerMinute | None = None
    credits_per_minute: CreditsPerMinute | None = None
    billing_increment_seconds: Increment | None = None
    retell_agent_id: AgentId | None = None
    retell_from_number: FromNumber | None = None
    call_settings: NoCallSettings = None

    def to_new_account(self, default: Pricing) -> NewAccount:
        """The order for the service; prices that were not given are `default`'s."""
        prices = {name: getattr(self, name) for name in Pricing.model_fields if getattr(self, name) is not None}
        return NewAccount(
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            timezone=self.settings.timezone,
            person_caps=[cap.to_domain() for cap in self.settings.person_caps],
            retention_days=self.settings.retention_days,
            recording_retention_days=self.settings.recording_retention_days,
            pricing=default.model_copy(update=prices) if prices else None,
        )


_AS_THEY_ARE = (
    "account_id",
    "account_name",
    "contact_name",
    "contact_email",
    "contact_phone",
    "plan_type",
    "initial_credits",
    "initial_minutes",
    "features",
    "country",
    "retell_agent_id",
    "retell_from_number",
)


class ChangeAccount(Request):
    """Any subset; what is left out stays as it is. `features` and `settings` are merged field by field."""

    account_name: Name = optional_field("")
    contact_name: Name = optional_field("")
    contact_email: Email = optional_field("")
    contact_phone: Phone | None = None
    features: Features = optional_field(Features())
    settings: AccountSettings = optional_field(AccountSettings())
    country: Country | None = None
    cost_per_minute: CostPerMinute = optional_field(Decimal(0))
    credits_per_minute: CreditsPerMinute = optional_field(Decimal(1))
    billing_increment_seconds: Increment = optional_field(1)
    retell_agent_id: AgentId | None = None
    retell_from_number: FromNumber | None = None
    status: Annotated[AccountStatus, AnyCase] = optional_field(AccountStatus.ACTIVE)
    is_active: bool = optional_field(True)
    suspension_reason: Text | None = None

    call_settings: NoCallSettings = None

    def to_changes(self) -> dict[str, Any]:
        """What was sent, under the names of the stored account. Raises InvalidInput if it contradicts itself."""
        both = {"status", "is_active"} <= self.model_fields_set
        if both and (self.status is AccountStatus.ACTIVE) != self.is_active:
            raise InvalidInput([FieldError.of(("is_active",), "status_and_is_active_differ")])
        changes = self.model_dump(exclude_unset=True)
        changes |= {f"features.{name}": value for name, value in changes.pop("features", {}).items()}
        changes |= changes.pop("settings", {})
        changes |= {f"pricing.{name}": changes.pop(name) for name in Pricing.model_fields if name in changes}
        if "is_active" in changes:
            changes["status"] = AccountStatus.ACTIVE if changes.pop("is_active") else AccountStatus.SUSPENDED
        return changes


class TopUp(Request):
    """What was bought, in the unit of the account's plan."""

    minutes: Amount = Decimal(0)
    credits: Amount = Decimal(0)
