"""A contact: somebody to call, with the numbers to try and what the script may say about them."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from app.domain.phone_numbers import E164_PATTERN

MAX_PHONES = 20

E164 = Annotated[str, Field(pattern=E164_PATTERN)]


class Contact(BaseModel):
    """`phones` are E.164, in the order they are tried, each once.

    `dni` is the national id, whatever the country calls it (RUT, DNI). It also stays in `custom_fields` under
    its own column's name, so that a script can say it. `custom_fields` keys are slugs (column_mapping.slug).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    phones: list[E164] = Field(min_length=1, max_length=MAX_PHONES)
    email: str | None = None
    dni: str | None = None
    custom_fields: dict[str, str] = Field(default_factory=dict)


class ContactRow(NamedTuple):
    """A contact and the spreadsheet row (1-based, as the spreadsheet shows it) it comes from."""

    row_number: int
    contact: Contact
