"""The vocabulary of all request and response bodies."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from app.domain.contact_import import is_email
from app.domain.messages import Language, Message
from app.domain.phone_numbers import E164_PATTERN
from app.domain.time_zones import is_time_zone

E = TypeVar("E", bound=StrEnum)


class Request(BaseModel):
    """A request body. A field we do not know is an error: ignoring a typo would do something else than was asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_what_python_takes(cls, value: object, info: ValidationInfo) -> object:
        """True for 1: `"max_concurrent_calls": true` would be a limit of one call. And halves of characters."""
        if isinstance(value, bool) and _takes_numbers(cls.model_fields[str(info.field_name)].annotation):
            raise PydanticKnownError("int_type")
        if isinstance(value, str) and not _is_unicode(value):
            raise PydanticKnownError("string_unicode")
        return value


def _is_unicode(text: str) -> bool:
    """Not so is half a character, which JSON can say (`"\\ud800"`) and nothing can keep."""
    return text.encode(errors="replace") == text.encode(errors="surrogatepass")


def _takes_numbers(annotation: object) -> bool:
    """Whether it is for numbers and not for true and false."""
    kinds = _plain_types(annotation)
    return bool(kinds & {int, float, Decimal}) and bool not in kinds


def _plain_types(annotation: object) -> set[object]:
    parts = get_args(annotation)
    return {annotation} if not parts else {kind for part in parts for kind in _plain_types(part)}


def is_off(value: object) -> bool:
    """An option that is not used is left out of a response, so that what does not use it reads as it was sent."""
    return not value


class Reply(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)


def invalid(code: str, **params: Any) -> PydanticCustomError:
    """An error of a validator; its text is the catalogue's."""
    # Half a character pydantic cannot quote.
    quotable = {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in params.items()
    }
    return PydanticCustomError(code, code, quotable)


def lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def optional_field(default: Any) -> Any:
    """A field of a PATCH: it counts only if it was sent, and null is not a value of it."""

    def without_default(schema: dict[str, Any]) -> None:
        schema.pop("default", None)

    return Field(default=default, json_schema_extra=without_default)


AnyCase = BeforeValidator(lower)
"""Before an enum's validation: requests may write its values in any letter case."""


# Requests ------------------------------------------------------------------------------------------------------------


def checked(is_good: Callable[[str], bool], code: str) -> AfterValidator:
    """Refuses a text that is not good, with the text of `code`, which may quote it as `{value}`."""

    def check(value: str) -> str:
        if not is_good(value):
            raise invalid(code, value=value[:60])
        return value

    return AfterValidator(check)


def _written_out(kind: Literal["date_type", "datetime_type"]) -> BeforeValidator:
    """Seconds since 1970 are no date: 0 would be one long ago, and milliseconds one in fifty thousand years."""

    def check(value: object) -> object:
        try:
            float(value)  # type: ignore[arg-type] # what it does not take is none
        except (TypeError, ValueError):
            return value
        except OverflowError:  # so many digits
            pass
        raise PydanticKnownError(kind)

    return BeforeValidator(check)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise invalid("instant_out_of_range") from None


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)]
Email = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=320), checked(is_email, "email_not_an_address")
]
Zone = Annotated[str, checked(is_time_zone, "time_zone_unknown"), Field(examples=["America/Santiago"])]
FromNumber = Annotated[
    str,
    checked(lambda value: re.fullmatch(E164_PATTERN, value) is not None, "number_not_e164"),
    Field(examples=["+56225550100"]),
]
AgentId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Amount = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=4, allow_inf_nan=False)]
FutureInstant = Annotated[AwareDatetime, _written_out("datetime_type"), AfterValidator(_in_utc)]
Day = Annotated[date, _written_out("date_type")]


# Responses -----------------------------------------------------------------------------------------------------------


def number(value: Decimal) -> int | float:
    """A decimal as a plain JSON number: 5 and not 5.0, 0.15 and not "0.15"."""
    return int(value) if value == value.to_integral_value() else float(value)


def instant(value: datetime) -> str:
    """ISO 8601 in UTC with `Z`, to the second."""
    # Not strftime: its %Y writes the year 245 as "245", which is no ISO 8601.
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


Number = Annotated[
    Decimal, PlainSerializer(number, return_type=int | float, when_used="json"), WithJsonSchema({"type": "number"})
]
Instant = Annotated[
    datetime,
    PlainSerializer(instant, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "example": "2025-10-24T10:00:00Z"}),
]


class Reason(Reply):
    """Why something is as it is: for programs and for people."""

    code: str
    message: str


def reason_of(message: Message | None, language: Language) -> Reason | None:
    return None if message is None else Reason(code=message.code, message=message.render(language))
