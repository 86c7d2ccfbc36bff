"""Request bodies of /batches."""

import hashlib
import json
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema

from app.api.schemas.call_settings import CallSettingsChange, CallSettingsRequest
from app.api.schemas.common import (
    AgentId,
    AnyCase,
    FromNumber,
    FutureInstant,
    Name,
    Request,
    Text,
    invalid,
    optional_field,
)
from app.domain.batches import Priority, ScheduleType, VoiceSettings
from app.domain.errors import FieldError, InvalidInput
from app.domain.recurrence import Frequency, RecurrenceRule
from app.domain.variables import LONGEST_SCRIPT
from app.services.batch_creation import NewBatch


def _priority(value: object) -> Priority:
    """A name in any letter case, or its number."""
    if isinstance(value, str) and value.strip().upper() in Priority.__members__:
        return Priority[value.strip().upper()]
    if isinstance(value, int) and not isinstance(value, bool) and value in list(Priority):
        return Priority(value)
    raise invalid("priority_unknown")


PriorityRequest = Annotated[
    Priority,
    PlainValidator(_priority),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [priority.name.lower() for priority in Priority]},
                {"type": "integer", "minimum": 1, "maximum": 4},
            ],
            "default": "normal",
        }
    ),
]
Budget = Annotated[
    Decimal,
    Field(
        gt=0,
        le=1_000_000_000,
        decimal_places=4,
        allow_inf_nan=False,
        description="The most that its calls may cost, in the unit of `total_cost`. When it does not cover another "
        "call, the batch waits (`blocked_by: budget_exhausted`) until it is raised.",
        examples=[150.5],
    ),
]
Script = Annotated[str, StringConstraints(max_length=LONGEST_SCRIPT)]


class RecurringConfig(Request):
    """A run at the first start (`scheduled_at`, or at once) and then at the same wall-clock time of the batch's zone.

    Monthly on a day that a month does not have: on its last day. A run that is due while the one before still goes on
    is skipped; of runs missed while no worker lived, the latest is made up for.
    """

    frequency: Annotated[Frequency, AnyCase]
    interval: Annotated[int, Field(ge=1, le=1000, description="Every so many days, weeks or months.")]
    until: FutureInstant | None = Field(default=None, description="No run starts after this.")
    count: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="So many occurrences in all, those that are skipped or missed included."
    )

    def to_domain(self) -> RecurrenceRule:
        return RecurrenceRule(**self.model_dump())


class CreateBatch(Request):
    """Contacts come as `contacts` or as the `upload_id` of a preview; with neither the batch is a draft."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "account_id": "acc-chile-001",
                "name": "Campaña Cobranza Noviembre",
                "description": "Segunda ronda",
                "script_content": "Hola {{nombre}}, le llamo de {{empresa}}...",
                "voice_settings": {"voice_id": "default", "speed": 1.0, "pitch": 0, "volume": 1.0, "language": "es-CL"},
                "call_settings": {
                    "max_call_duration": 300,
                    "ring_timeout": 30,
                    "max_attempts": 3,
                    "retry_delay_hours": 24,
                    "allowed_hours": {"start": "09:00", "end": "18:00"},
                    "days_of_week": [1, 2, 3, 4, 5],
                    "timezone": "America/Santiago",
                },
                "schedule_type": "immediate",
                "scheduled_at": None,
                "recurring_config": None,
                "priority": "normal",
                "contacts": [
                    {
                        "name": "Juan Pérez",
                        "phones": ["+56912345678", "+56987654321"],
                        "email": "juan@email.com",
                        "rut": "12345678-9",
                        "monto_deuda": "50000",
                    }
                ],
            }
        }
    )

    account_id: Annotated[str, Field(min_length=1, max_length=200)]
    name: Name
    description: Text | None = None
    script_content: Script = ""
    voice_settings: VoiceSettings = VoiceSettings()
    call_settings: CallSettingsRequest = CallSettingsRequest()
    schedule_type: Annotated[ScheduleType, AnyCase] = ScheduleType.IMMEDIATE
    scheduled_at: FutureInstant | None = None
    recurring_config: RecurringConfig | None = None
    priority: PriorityRequest = Priority.NORMAL
    budget: Budget | None = None
    contacts: list[dict[str, Any]] | None = Field(
        default=None,
        description=(
            "`name`, `phones` (a list, or one text), `email`, `dni`, `timezone` (an IANA name, by whose clocks the "
            "contact is called); every other key, and whatever stands in `custom_fields`, becomes a variable of the "
            "call."
        ),
    )
    upload_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    allow_missing_variables: bool = False
    retell_agent_id: AgentId | None = None
    retell_from_number: FromNumber | None = None

    def to_new_batch(self, idempotency_key: str | None) -> NewBatch:
        """The order for the service. Raises InvalidInput where fields do not fit together."""
        _refuse_contradictions(self)
        return NewBatch(
            **{name: getattr(self, name) for name in _AS_THEY_ARE},
            call_settings=self.call_settings.to_domain(),
            recurring=None if self.recurring_config is None else self.recurring_config.to_domain(),
            idempotency_key=idempotency_key,
            request_digest=self._digest() if idempotency_key else "",
        )

    def _digest(self) -> str:
        """The same for requests that mean the same, however they are written."""
        text = json.dumps(self.model_dump(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


_AS_THEY_ARE = (
    "account_id",
    "name",
    "description",
    "script_content",
    "voice_settings",
    "schedule_type",
    "scheduled_at",
    "priority",
    "budget",
    "contacts",
    "upload_id",
    "allow_missing_variables",
    "retell_agent_id",
    "retell_from_number",
)


def _refuse_contradictions(body: CreateBatch) -> None:
    wrong = [
        FieldError.of((name,), code)
        for name, code, is_wrong in (
            ("scheduled_at", "scheduled_at_missing", _is_scheduled(body) and body.scheduled_at is None),
            (
                "scheduled_at",
                "scheduled_at_not_wanted",
                body.schedule_type is ScheduleType.IMMEDIATE and body.scheduled_at is not None,
            ),
            ("recurring_config", "recurring_config_missing", _recurs(body) and body.recurring_config is None),
            (
                "recurring_config",
                "recurring_config_not_wanted",
                not _recurs(body) and body.recurring_config is not None,
            ),
        )
        if is_wrong
    ]
    if wrong:
        raise InvalidInput(wrong)


def _is_scheduled(body: CreateBatch) -> bool:
    return body.schedule_type is ScheduleType.SCHEDULED


def _recurs(body: CreateBatch) -> bool:
    return body.schedule_type is ScheduleType.RECURRING


class ChangeBatch(Request):
    """Any subset; `is_active` false pauses and true resumes. Takes effect at the next claim, in seconds."""

    name: Name = optional_field("")
    description: Text | None = None
    priority: PriorityRequest = optional_field(Priority.NORMAL)
    budget: Budget | None = Field(default=None, description="Null removes it.")
    call_settings: CallSettingsChange = optional_field(CallSettingsChange())
    is_active: bool = optional_field(True)

    def to_changes(self) -> tuple[dict[str, Any], bool | None]:
        """What was sent under the stored names, and whether the batch shall run (None: as it does)."""
        sent = self.model_fields_set
        changes: dict[str, Any] = {
            name: getattr(self, name) for name in ("name", "description", "priority", "budget") if name in sent
        }
        if "call_settings" in sent:
            changes |= self.call_settings.to_changes()
        return changes, self.is_active if "is_active" in sent else None
