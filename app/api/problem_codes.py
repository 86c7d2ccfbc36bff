"""Every `code` that a problem can have, by its status: for the OpenAPI document. A test compares it with the code."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

from app.domain.messages import render


class ProblemKind(NamedTuple):
    """What is said of all problems with one status."""

    name: str
    """Of the component in the OpenAPI document."""
    meaning: str
    codes: tuple[str, ...]
    params: Mapping[str, Any] = MappingProxyType({})
    """Of the first code's text, for the example."""


KINDS: dict[int, ProblemKind] = {
    400: ProblemKind(
        "BadRequest",
        "The body is not what its Content-Type says.",
        ("invalid_json", "malformed_request", "webhook_unreadable"),
    ),
    401: ProblemKind(
        "Unauthorized",
        "No valid token: log in, refresh, or check the API key. Of a webhook: no valid signature.",
        (
            "token_missing",
            "login_failed",
            "metrics_not_for_you",
            "session_over",
            "ticket_not_valid",
            "token_not_valid",
            "webhook_signature_invalid",
        ),
    ),
    403: ProblemKind(
        "Forbidden",
        "The role or scope of the user or key does not allow it.",
        ("not_permitted", "not_permitted_for_scope"),
        {"role": "viewer"},
    ),
    404: ProblemKind(
        "NotFound",
        "There is no such object for whoever asks.",
        (
            "account_not_found",
            "api_key_not_found",
            "batch_not_found",
            "delivery_not_found",
            "do_not_call_entry_not_found",
            "erasure_not_found",
            "from_number_not_suspected",
            "import_not_found",
            "job_not_found",
            "route_not_found",
            "upload_not_found",
            "user_not_found",
            "webhook_not_found",
            "worker_not_found",
        ),
        {"account_id": "acc-chile-001"},
    ),
    409: ProblemKind(
        "Conflict",
        "The state of the object forbids it, or the idempotency key belongs to another request.",
        (
            "batch_not_changeable",
            "account_exists",
            "account_suspended",
            "batch_changed_meanwhile",
            "batch_has_calls",
            "batch_has_runs",
            "batch_not_deletable",
            "batch_was_deleted",
            "email_taken",
            "idempotency_key_reused",
            "import_in_progress",
            "import_undone",
            "import_was_undone",
            "job_changed_meanwhile",
            "job_erased",
            "job_not_cancellable",
            "job_not_retryable",
            "last_admin",
            "not_a_user",
            "person_too_wide",
            "results_changed_meanwhile",
            "results_while_importing",
            "still_importing",
            "test_call_goes_on",
            "test_call_happens_once",
            "test_call_hours_closed",
            "test_call_to_contact",
            "too_many_webhooks",
            "webhook_switched_off",
            "worker_not_at_work",
        ),
        {"batch_id": "batch-001", "status": "cancelled"},
    ),
    413: ProblemKind(
        "PayloadTooLarge", "The body is too large.", ("body_too_large", "file_too_large"), {"limit_mb": 16}
    ),
    422: ProblemKind(
        "InvalidInput",
        "The input is wrong; `errors` says where. Or the file is no list that can be read.",
        (
            "invalid_input",
            "csv_malformed",
            "file_empty",
            "file_format_unknown",
            "file_is_html",
            "file_is_pdf",
            "file_is_xlsb",
            "file_password_protected",
            "file_too_complex_or_corrupt",
            "file_unpacks_too_large",
            "file_unreadable",
            "header_too_long",
            "no_header",
            "no_phone_column",
            "no_rows",
            "no_visible_sheet",
            "only_hidden_rows",
            "phone_column_empty",
            "sheet_empty",
            "sheet_error_value",
            "too_many_columns",
            "too_many_rows",
        ),
    ),
    429: ProblemKind(
        "TooManyRequests",
        "Asked too often. Try again after `Retry-After` seconds.",
        ("too_many_requests", "login_locked", "test_calls_too_many", "too_many_files", "too_many_streams"),
        {"seconds": 3},
    ),
    503: ProblemKind(
        "Unavailable",
        "MongoDB is away, or something else that is needed; nothing was done. Try again after `Retry-After` seconds.",
        (
            "database_unavailable",
            "data_being_migrated",
            "data_outdated",
            "indexes_being_built",
            "file_not_written",
            "webhook_key_missing",
        ),
    ),
}


def example_of(status: int) -> dict[str, Any]:
    """A problem with the first code of its status, as an operator reads it."""
    kind = KINDS[status]
    code = kind.codes[0]
    errors: list[dict[str, Any]] = []
    if code == "invalid_input":
        msg = render("email_not_an_address", value="maria@")
        errors = [{"loc": ["contact_email"], "msg": msg, "type": "email_not_an_address"}]
        detail = f"contact_email: {msg}"
    elif code == "invalid_json":
        detail = render("input_json_invalid", position=12)
        errors = [{"loc": [12], "msg": detail, "type": "json_invalid"}]
    else:
        detail = render(code, **kind.params)
    found = {
        "type": f"urn:cadencia:problem:{code}",
        "title": render(f"title_{HTTPStatus(status).value}"),
        "status": status,
        "code": code,
        "detail": detail,
        "message": detail,
        "instance": "/api/v1/accounts/acc-chile-001",
    }
    return {**found, "errors": errors} if errors else found
