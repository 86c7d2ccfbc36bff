"""Refusals and the bodies Retell puts them in (retell.md §9)."""

from typing import Literal

STANDARD_MESSAGES = {
    400: "Invalid request format, please check API reference.",
    401: "API key is missing or invalid.",
    402: "Trial has ended, please add payment method.",
    403: "You do not have permission to perform this action.",
    404: "The requested resource was not found.",
    422: "Cannot find requested asset under given api key.",
    429: "Account rate limited, please throttle your requests.",
}
SERVER_ERROR = "An unexpected server error occurred."


class Refused(Exception):
    """A request answered with a 4xx: nothing was done."""

    def __init__(self, status_code: int, message: str | None = None, *, schema: bool = False) -> None:
        """`schema`: found by the schema check, so the body may use the `error_message` form."""
        self.status_code = status_code
        self.message = message or STANDARD_MESSAGES.get(status_code, SERVER_ERROR)
        self.schema = schema
        super().__init__(self.message)


def error_body(
    status_code: int,
    message: str | None = None,
    *,
    schema: bool = False,
    variant: Literal["error_message", "message"] = "message",
) -> dict[str, str]:
    """The documented body, or for schema errors the one seen live if `variant` says so."""
    text = message or STANDARD_MESSAGES.get(status_code, SERVER_ERROR)
    if schema and variant == "error_message":
        return {"error_message": text}
    return {"status": "error", "message": text}
