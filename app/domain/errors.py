"""What can go wrong, as the domain names it. The API alone turns these into status codes (api/problems.py).

* CadenciaError           carries a catalogue code and parameters
  + InvalidInput          the caller sent something wrong; one FieldError a field or row
  + NotFound              no such account, batch, job or upload (or it is somebody else's)
  + Unauthenticated       nobody we know, or no longer
  + Forbidden             known, but not allowed to do this
  + TooManyRequests       later; `retry_after` says when
  + Conflict              the object is in a state that forbids the request
  + SpreadsheetRejected   the file cannot be read, or is no contact list
  + Unavailable           a dependency is away; nothing was done, try again
    - DatabaseUnavailable
    - DataNotReady
"""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.domain.messages import Message


class FieldError(BaseModel):
    """One thing wrong with the input: where (`loc`, outermost first) and what."""

    model_config = ConfigDict(frozen=True)

    loc: tuple[str | int, ...]
    message: Message

    @classmethod
    def of(cls, loc: tuple[str | int, ...], code: str, **params: Any) -> "FieldError":
        return cls(loc=loc, message=Message(code=code, params=params))


class CadenciaError(Exception):
    """Base of all; `message` is what an operator reads, `code` is stable for programs."""

    def __init__(self, code: str, **params: Any) -> None:
        self.message = Message(code=code, params=params)
        super().__init__(code)

    @property
    def code(self) -> str:
        return self.message.code


class InvalidInput(CadenciaError):
    """The request cannot be accepted as it is; `errors` says which fields or rows."""

    def __init__(self, errors: list[FieldError], code: str = "invalid_input", **params: Any) -> None:
        super().__init__(code, **params)
        self.errors = errors


class NotFound(CadenciaError):
    """There is no such object for this caller."""


class Unauthenticated(CadenciaError):
    """No credentials, or none that are valid now."""


class Forbidden(CadenciaError):
    """The caller's role or scope does not allow it."""


class TooManyRequests(CadenciaError):
    """Asked too often; `retry_after` is in seconds."""

    def __init__(self, code: str, retry_after: float) -> None:
        super().__init__(code, seconds=math.ceil(retry_after))
        self.retry_after = math.ceil(retry_after)


class Conflict(CadenciaError):
    """The object's state forbids it."""


class SpreadsheetRejected(CadenciaError):
    """The uploaded file cannot be read as a contact list."""


class Unavailable(CadenciaError):
    """Something we depend on is away."""


class DatabaseUnavailable(Unavailable):
    """MongoDB does not answer, or has no primary."""

    def __init__(self) -> None:
        super().__init__("database_unavailable")


class DataNotReady(Unavailable):
    """The data is not, or not yet, what this code works with: somebody migrates it, or has to."""
