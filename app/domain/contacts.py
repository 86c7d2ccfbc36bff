"""A contact: somebody to call, with the numbers to try and what the script may say about them."""

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.domain.phone_numbers import E164_PATTERN
from app.domain.time_zones import is_time_zone

MAX_PHONES = 20

ID_PREFIX = "id:"
# The fewest digits of a real national id or passport; "S/N" and "no tiene" are nobody's.
_SEVERAL_DIGITS = re.compile(r"(?:[A-Z]*[0-9]){5}")
_NOT_OF_AN_ID = re.compile(r"[^0-9A-Z]")

ERASED = "#"
"""What stands for a person's first number is "#1": it can be counted, and neither dialed nor found."""
E164 = Annotated[str, Field(pattern=f"{E164_PATTERN}|^{ERASED}[0-9]{{1,2}}$")]


def _known_zone(name: str) -> str:
    if not is_time_zone(name):
        raise ValueError("not an IANA time zone")
    return name


class Contact(BaseModel):
    """`phones` are E.164, in the order they are tried, each once.

    `dni` is the national id, whatever the country calls it (RUT, DNI). It also stays in `custom_fields` under
    its own column's name, so that a script can say it. `timezone` is an IANA name, by whose clocks the contact is
    called; None: by the batch's. `custom_fields` keys are slugs (header_words.slug).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    phones: list[E164] = Field(min_length=1, max_length=MAX_PHONES)
    email: str | None = None
    dni: str | None = None
    timezone: Annotated[str, AfterValidator(_known_zone)] | None = None
    custom_fields: dict[str, str] = Field(default_factory=dict)

    @property
    def is_erased(self) -> bool:
        """Nobody knows any more who it was (domain.privacy)."""
        return self.phones[0].startswith(ERASED)


class ContactRow(NamedTuple):
    """A contact and the spreadsheet row (1-based, as the spreadsheet shows it) it comes from."""

    row_number: int
    contact: Contact


def person_keys(contact: Contact) -> list[str]:
    """What `contact` is known by: ID_PREFIX and its national id, and each of its numbers.

    Two contacts are the same person if they share one key. A phone that two people share makes them one, which
    errs on the side of calling less.
    """
    return keys_of_person(contact.dni, contact.phones)


def keys_of_person(dni: str | None, phones: Sequence[str]) -> list[str]:
    """See person_keys."""
    national_id = id_key(dni) if dni else None
    if phones and phones[0].startswith(ERASED):
        return []
    return [national_id, *phones] if national_id else [*phones]


def id_key(text: str) -> str | None:
    """The key of whoever has this national id; None if it is nobody's."""
    bare = _bare_id(text)
    return f"{ID_PREFIX}{bare}" if bare else None


def _bare_id(text: str) -> str | None:
    """`12.345.678-k` and `12345678K` are one id; None for what only fills the column."""
    bare = text.upper().replace("-", "").replace(".", "")
    if not (bare.isascii() and bare.isalnum()):  # the replacements do for nearly all, at a quarter of the cost
        bare = _NOT_OF_AN_ID.sub("", bare)
    bare = bare.lstrip("0")
    return bare if _SEVERAL_DIGITS.match(bare) and bare.strip(bare[0]) else None
