"""Logs never show a phone or a secret, whoever wrote them, and in whichever form."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.log_config import configure_logging, mask_phones

PHONE = "+56912345678"
MASKED = "+569*****678"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def lines(written: io.StringIO) -> Lines:
    """The lines written so far, as JSON."""
    configure_logging("json", "INFO")
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PHONE, MASKED),
        (f"call {PHONE}, then +14155550100.", f"call {MASKED}, then +141*****100."),
        ("+12345678", "+123**678"),
        ("+1234567", "+1234567"),  # too short for a phone
        ("1 + 12345678", "1 + 12345678"),
        ("attempt 56912345678", "attempt 56912345678"),
    ],
)
def test_phones_in_a_text_are_masked(text: str, expected: str) -> None:
    assert mask_phones(text) == expected


@given(digits=st.text("0123456789", min_size=8, max_size=15), before=st.text("ab: ", max_size=4))
def test_no_phone_keeps_its_middle(digits: str, before: str) -> None:
    masked = mask_phones(f"{before}+{digits}")
    assert masked == f"{before}+{digits[:3]}{'*' * (len(digits) - 6)}{digits[-3:]}"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_phone_is_masked_in_event_and_values(written: io.StringIO, log_format: Any) -> None:
    configure_logging(log_format, "INFO")
    structlog.get_logger("test").info(f"calling {PHONE}", to=PHONE, detail=f"400 {PHONE} is wrong")
    assert written.getvalue().count(MASKED) == 3
    assert "12345678" not in written.getvalue()


def test_a_phone_is_masked_in_what_a_library_logs(lines: Lines) -> None:
    logging.getLogger("somebody").warning("no route to %s", PHONE)
    (line,) = lines()
    assert line["event"] == f"no route to {MASKED}"


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("of_a_library", [False, True])
def test_a_phone_is_masked_in_the_text_of_an_exception(
    written: io.StringIO, log_format: Any, of_a_library: bool
) -> None:
    configure_logging(log_format, "INFO")
    try:
        try:
            raise LookupError(f"first {PHONE}")
        except LookupError as error:
            raise ValueError(f"then {PHONE}") from error
    except ValueError:
        if of_a_library:
            logging.getLogger("somebody").exception("failed")
        else:
            structlog.get_logger("test").exception("failed")
    text = written.getvalue()
    assert f"first {MASKED}" in text
    assert f"then {MASKED}" in text
    assert "12345678" not in text


def test_a_phone_bound_around_a_piece_of_work_is_masked(lines: Lines) -> None:
    with structlog.contextvars.bound_contextvars(phone=PHONE):
        structlog.get_logger("test").info("event")
    assert lines()[0]["phone"] == MASKED


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "api_key", "RETELL_API_KEY", "Authorization", "access_token", "mongodb_uri"]
)
def test_the_value_of_a_secret_is_dropped(lines: Lines, name: str) -> None:
    structlog.get_logger("test").info("event", **{name: "hunter2", "other": "kept"})
    (line,) = lines()
    assert (line[name], line["other"]) == ("***", "kept")


@pytest.mark.xfail(reason="reported: only the outermost texts are looked at", strict=True)
def test_phones_and_secrets_are_found_inside_values(lines: Lines, written: io.StringIO) -> None:
    structlog.get_logger("test").info(
        "event",
        request={"to_number": PHONE, "headers": {"Authorization": "hunter2"}},
        phones=[PHONE],
        error=OSError(PHONE),
    )
    assert lines()
    assert "12345678" not in written.getvalue()
    assert "hunter2" not in written.getvalue()


def test_a_line_says_when_who_and_how_grave(lines: Lines) -> None:
    structlog.get_logger("worker").warning("event", count=3)
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"], line["count"]) == ("event", "worker", "warning", 3)
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    structlog.get_logger("test").debug("event")
    logging.getLogger("httpx").info("GET https://api.retellai.com/v2/get-call/x")
    logging.getLogger("pymongo").info("event")
    assert lines() == []


def test_texts_are_written_as_they_are_spoken(written: io.StringIO, lines: Lines) -> None:
    structlog.get_logger("test").info("campaña", nombre="Ñandú")
    assert "campaña" in written.getvalue()
    assert lines()[0]["nombre"] == "Ñandú"
