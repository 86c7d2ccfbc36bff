"""A script's preview."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from app.api.schemas.batch_replies import AcceptedWarning, VoiceNoteReply, accepted_warnings, voice_replies
from app.api.schemas.batches import Script
from app.api.schemas.call_settings import CallSettingsRequest
from app.api.schemas.common import Reply, Request
from app.api.schemas.uploads import MissingVariableReply, missing_variables
from app.domain.batches import VoiceSettings
from app.domain.messages import Language
from app.domain.variables import GIVEN_BY_EVERY_CALL, RESERVED_PREFIX, placeholders, reserved_names
from app.services.script_preview import Sample, ScriptOrder, ScriptPreview

MOST_CONTACTS = 100
MOST_ROWS = 20


class PreviewScript(Request):
    """Contacts come as the `upload_id` of a preview or as a few `contacts`; without, the script alone is checked."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "account_id": "acc-chile-001",
                "script_content": "Hola {{nombre}}, le llamo de {{empresa}} por su deuda de {{monto_deuda}} pesos.",
                "voice_settings": {"voice_id": "default", "speed": 1.0, "pitch": 0, "volume": 1.0, "language": "es-CL"},
                "contacts": [{"name": "Juan Pérez", "phones": ["+56912345678"], "monto_deuda": "50000"}],
            }
        }
    )

    account_id: Annotated[str, Field(min_length=1, max_length=200)]
    script_content: Script
    voice_settings: VoiceSettings = VoiceSettings()
    call_settings: CallSettingsRequest = Field(
        default=CallSettingsRequest(), description="Only `timezone` matters: by whose clocks `{{fecha_hoy}}` is today."
    )
    upload_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    contacts: Annotated[list[dict[str, Any]], Field(max_length=MOST_CONTACTS)] | None = Field(
        default=None, description="As in `POST /batches`."
    )
    rows: Annotated[list[int], Field(max_length=MOST_ROWS)] = Field(
        default=[],
        description="Whom to render it for: rows as the spreadsheet numbers them, or 1-based places in `contacts`. "
        "None: the first contacts.",
    )

    def to_order(self) -> ScriptOrder:
        return ScriptOrder(
            account_id=self.account_id,
            script=self.script_content,
            voice=self.voice_settings,
            timezone=self.call_settings.timezone,
            upload_id=self.upload_id,
            contacts=self.contacts,
            rows=self.rows,
        )


class RenamedVariable(Reply):
    """A column with a name that the voice provider uses itself."""

    name: str = Field(description="In the script.")
    sent_as: str = Field(description="In the agent's prompt.")


class SampleReply(Reply):
    row: int
    name: str
    phone: str
    script: str = Field(description="What the agent gets as the variable `script`.")
    variables: dict[str, str] = Field(description="What it gets besides.")
    missing: list[str] = Field(description="Names of the script that are rendered as nothing.")


class ScriptPreviewReply(Reply):
    variables_used: list[str]
    available_variables: list[str] | None = Field(description="Null without contacts.")
    missing_variables: list[MissingVariableReply] = Field(
        description="What `POST /batches` would refuse the script for with these contacts."
    )
    renamed_variables: list[RenamedVariable]
    warnings: list[AcceptedWarning] = Field(description="What `POST /batches` would accept and warn of.")
    voice: list[VoiceNoteReply]
    samples: list[SampleReply]


def script_preview_reply(body: PreviewScript, found: ScriptPreview, language: Language) -> ScriptPreviewReply:
    names = GIVEN_BY_EVERY_CALL if found.available is None else found.available.names()
    return ScriptPreviewReply(
        variables_used=placeholders(body.script_content),
        available_variables=None if found.available is None else list(names),
        missing_variables=missing_variables(found.missing, language),
        renamed_variables=[
            RenamedVariable(name=name, sent_as=RESERVED_PREFIX + name) for name in sorted(reserved_names(names))
        ],
        warnings=accepted_warnings(found.warned, language),
        voice=voice_replies(body.voice_settings, language),
        samples=[_sample(sample) for sample in found.samples],
    )


def _sample(sample: Sample) -> SampleReply:
    contact = sample.row.contact
    return SampleReply(
        row=sample.row.row_number,
        name=contact.name,
        phone=contact.phones[0],
        script=sample.script,
        variables=sample.variables,
        missing=sample.missing,
    )
