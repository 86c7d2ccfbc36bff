"""POST /batches/excel/create: the form, and its answer."""

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import Form
from pydantic import Field, Json

from app.api.schemas.batches import CreateBatch, Script
from app.api.schemas.call_settings import CallSettingsRequest, call_settings_reply
from app.api.schemas.common import AnyCase, Name, Reply, Text
from app.api.schemas.uploads import (
    ColumnWarning,
    HiddenRows,
    IncludeHiddenRows,
    RowIssue,
    RowWarning,
    column_warnings,
    row_issues,
    row_warnings,
)
from app.domain.accounts import Account
from app.domain.batches import BatchStatus, CallSettings, VoiceSettings
from app.domain.column_choice import LONGEST_CHOICE
from app.domain.holiday_calendar import supported_calendars
from app.domain.messages import Language
from app.domain.use_cases import ProcessingType
from app.domain.variables import days_ahead
from app.services.batch_files import FileBatch

MOST_DAYS = 3650
Days = Annotated[
    int,
    Field(ge=0, le=MOST_DAYS),
]


class CreateFromFile:
    """The fields of the form; each comes as a text, JSON where its name says so."""

    def __init__(
        self,
        account_id: Annotated[str, Form(min_length=1, max_length=200)],
        batch_name: Annotated[Name | None, Form(description="By default the file's name.")] = None,
        batch_description: Annotated[Text | None, Form()] = None,
        allow_duplicates: Annotated[
            bool,
            Form(
                description="Call also persons (by national id or phone) whom an earlier row has, or an active "
                "batch of the account; else they are skipped and counted."
            ),
        ] = False,
        call_settings_json: Annotated[
            Json[CallSettingsRequest] | None,
            Form(
                description="As `call_settings` of `POST /batches`. What is left out is as the `processing_type` has "
                "it, and `timezone` the account's."
            ),
        ] = None,
        processing_type: Annotated[
            ProcessingType,
            AnyCase,
            Form(
                description="`basic` has no script: the agent says what it was made for. Of the others "
                "(`GET /use-cases`) script and call settings are taken over, with the account's public holidays."
            ),
        ] = ProcessingType.BASIC,
        dias_fecha_limite: Annotated[
            Days | None,
            Form(description="`{{fecha_limite}}` is today plus so many days, in the batch's time zone."),
        ] = None,
        dias_fecha_maxima: Annotated[Days | None, Form(description="The same of `{{fecha_maxima}}`.")] = None,
        script_content: Annotated[Script | None, Form(description="Instead of the processing type's.")] = None,
        voice_settings_json: Annotated[
            Json[VoiceSettings] | None, Form(description="As `voice_settings` of `POST /batches`.")
        ] = None,
        allow_missing_variables: Annotated[
            bool, Form(description="Call also contacts without a value for a variable of the script.")
        ] = False,
        column_mapping: Annotated[
            str | None, Form(max_length=LONGEST_CHOICE, description="As in `POST /batches/excel/preview`.")
        ] = None,
        include_hidden_rows: IncludeHiddenRows = False,
    ) -> None:
        self.account_id = account_id
        self.include_hidden_rows = include_hidden_rows
        self.allow_duplicates = allow_duplicates
        self.column_mapping = column_mapping
        self._name = batch_name
        self._description = batch_description
        self._call_settings = call_settings_json
        self._processing_type = processing_type
        self._days = {"fecha_limite": dias_fecha_limite, "fecha_maxima": dias_fecha_maxima}
        self._script = script_content
        self._voice_settings = voice_settings_json or VoiceSettings()
        self._allow_missing_variables = allow_missing_variables

    def to_create_batch(self, account: Account, filename: str) -> CreateBatch:
        """The same wish as a body of `POST /batches`."""
        use_case = self._processing_type.use_case
        script = self._script if self._script is not None else use_case.script if use_case else ""
        return CreateBatch(
            account_id=self.account_id,
            name=self._name or _stem(filename) or account.account_name,
            description=self._description,
            script_content=script,
            voice_settings=self._voice_settings,
            call_settings=self._merged(account, use_case.call_settings if use_case else CallSettings()),
            allow_missing_variables=self._allow_missing_variables,
        )

    def extra_fields(self, settings: CallSettingsRequest, now: datetime) -> dict[str, str]:
        """The variables that the two `dias_*` ask for."""
        wanted = {name: days for name, days in self._days.items() if days is not None}
        return {name: days_ahead(days, now, settings.timezone) for name, days in wanted.items()}

    @property
    def besides(self) -> str:
        """What makes two requests the same, besides file and CreateBatch."""
        hidden = " hidden" * self.include_hidden_rows  # nothing, for the digests that are older than it
        return repr((self.allow_duplicates, self.column_mapping, sorted(self._days.items()))) + hidden

    def _merged(self, account: Account, usual: CallSettings) -> CallSettingsRequest:
        known = call_settings_reply(usual).model_dump(mode="json")
        known["timezone"] = account.timezone
        if known.get("holidays"):
            # Those of a use case are its own country's.
            country = account.country if account.country in supported_calendars() else None
            known["holidays"] = country and {"country": country}
        sent = self._call_settings.model_dump(mode="json", exclude_unset=True) if self._call_settings else {}
        return CallSettingsRequest.model_validate({**known, **sent})


class FileBatchReply(Reply):
    success: bool = Field(description="Always true: a request that creates nothing is answered with a problem.")
    batch_id: str
    batch_name: str = Field(examples=["Mora marzo"])
    status: BatchStatus = Field(description="`importing`: jobs are still being written.")
    jobs_created: int = Field(description="While `importing`, how many will be.")
    contacts_processed: int = Field(description="Rows that can be called: `jobs_created` and `duplicates_skipped`.")
    duplicates_skipped: int
    errors: list[RowIssue] = Field(description="Of the first 200 rows that cannot be called, why.")
    warnings: list[RowWarning] = Field(description="Of the first 200 rows: what is odd, or why they were skipped.")
    invalid_rows: int
    hidden_rows: HiddenRows
    warning_rows: int
    column_warnings: list[ColumnWarning]


def file_batch_reply(found: FileBatch, language: Language) -> FileBatchReply:
    summary = found.summary
    return FileBatchReply(
        success=True,
        batch_id=found.batch.batch_id,
        batch_name=found.batch.name,
        status=found.batch.status,
        jobs_created=summary.valid_rows,
        contacts_processed=summary.valid_rows + summary.skipped_rows,
        duplicates_skipped=summary.skipped_rows,
        errors=row_issues(summary.row_errors, language),
        warnings=row_warnings(found.warnings, language),
        invalid_rows=summary.invalid_rows,
        hidden_rows=summary.hidden_rows,
        warning_rows=summary.warning_rows,
        column_warnings=column_warnings(summary.mapping, language),
    )


def _stem(filename: str) -> str:
    """`C:\\listas\\Mora marzo.xlsx` is "Mora marzo"."""
    return PurePosixPath(re.sub(r"[\\/]", "/", filename)).stem.strip()
