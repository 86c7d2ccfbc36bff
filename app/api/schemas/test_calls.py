"""A test call, as it is asked for."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from app.api.schemas.common import Request
from app.services.test_calls import AskedTestCall

MOST_VARIABLES = 256


class MakeTestCall(Request):
    model_config = ConfigDict(
        json_schema_extra={"example": {"phone": "+56912345678", "variables": {"monto_deuda": "50000"}}}
    )

    phone: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)] = Field(
        description="The one number that is called, as it is written in the account's country."
    )
    job_id: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Whose variables the script is spoken with: a job of the batch. None: the batch's first contact.",
    )
    variables: Annotated[dict[str, str | int | float], Field(max_length=MOST_VARIABLES)] = Field(
        default={}, description="They go before that contact's own."
    )
    outside_hours: bool = Field(
        default=False,
        description="Call at once, whatever the batch's hours are: for a phone of your own, at which somebody waits. "
        "Not for a number that is a contact's of the account. Do-not-call lists, caps, limits and the balance hold.",
    )
    allow_missing_variables: bool = False

    def to_order(self) -> AskedTestCall:
        return AskedTestCall(
            phone=self.phone,
            job_id=self.job_id,
            variables=dict(self.variables),
            outside_hours=self.outside_hours,
            allow_missing_variables=self.allow_missing_variables,
        )
