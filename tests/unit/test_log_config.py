"""Logs never show a phone or a secret, whoever wrote them, and in whichever form."""

import contextlib
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.log_config import configure_logging, mask_phones

PHONE = "+56912345678"
MASKED = "+569*****678"

LogFormat = Literal["console", "json"]


class Log:
    """What was logged so far."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def take(self) -> str:
        """The same, and begin anew."""
        text = self.text
        self._stream.seek(0)
        self._stream.truncate()
        return text

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


Start = Callable[..., Log]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    hook = sys.excepthook
    yield
    sys.excepthook = hook
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Configures logging in the test itself (between a test's phases, pytest changes stderr)."""

    def configure(log_format: LogFormat = "json", secrets: Sequence[str] = ()) -> Log:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        configure_logging(log_format, "INFO", secrets)
        return Log(stream)

    return configure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PHONE, MASKED),
        (f"call {PHONE}, then +14155550100.", f"call {MASKED}, then +141*****100."),
        ("+12345678", "+123**678"),
        ("+1234567", "+1234567"),  # too short for a phone
        ("1 + 12345678", "1 + 12345678"),
        ("attempt 56912345678", "attempt 56912345678"),
        ("/check?phone=%2B56912345678&x=1", "/check?phone=%2B569*****678&x=1"),
    ],
)
def test_phones_in_a_text_are_masked(text: str, expected: str) -> None:
    assert mask_phones(text) == expected


@given(digits=st.text("0123456789", min_size=8, max_size=15), before=st.text("ab: ", max_size=4))
def test_no_phone_keeps_its_middle(digits: str, before: str) -> None:
    masked = mask_phones(f"{before}+{digits}")
    assert masked == f"{before}+{digits[:3]}{'*' * (len(digits) - 6)}{digits[-3:]}"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_phone_is_masked_in_event_and_values(start: Start, log_format: LogFormat) -> None:
    log = start(log_format)
    structlog.get_logger("test").info(f"calling {PHONE}", to=PHONE, detail=f"400 {PHONE} is wrong")
    text = log.text
    assert text.count(MASKED) == 3
    assert "12345678" not in text


def test_a_phone_is_masked_in_what_a_library_logs(start: Start) -> None:
    log = start()
    logging.getLogger("somebody").warning("no route to %s", PHONE)
    (line,) = log.lines
    assert line["event"] == f"no route to {MASKED}"


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("of_a_library", [False, True])
def test_a_phone_is_masked_in_the_text_of_an_exception(start: Start, log_format: LogFormat, of_a_library: bool) -> None:
    log = start(log_format)
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
    text = log.text
    assert f"first {MASKED}" in text
    assert f"then {MASKED}" in text
    assert "12345678" not in text


def test_a_phone_bound_around_a_piece_of_work_is_masked(start: Start) -> None:
    log = start()
    with structlog.contextvars.bound_contextvars(phone=PHONE):
        structlog.get_logger("test").info("event")
    assert log.lines[0]["phone"] == MASKED


@pytest.mark.parametrize(
    "name", ["password", "client_secret", "api_key", "RETELL_API_KEY", "Authorization", "access_token", "mongodb_uri"]
)
def test_the_value_of_a_secret_is_dropped(start: Start, name: str) -> None:
    log = start()
    structlog.get_logger("test").info("event", **{name: "hunter2", "other": "kept"})
    (line,) = log.lines
    assert (line[name], line["other"]) == ("***", "kept")


def test_phones_and_secrets_are_found_inside_values(start: Start) -> None:
    log = start()
    structlog.get_logger("test").info(
        "event",
        request={"to_number": PHONE, "headers": {"Authorization": "hunter2"}},
        phones=[PHONE],
        error=OSError(PHONE),
    )
    assert log.lines
    assert "12345678" not in log.text
    assert "hunter2" not in log.text


@dataclass
class Somebody:
    """What a careless log call may be given."""

    to_number: str
    uri: str


SECRET = "hunter2hunter2"
LEAKING_TEXTS = st.sampled_from(
    [
        f"to {PHONE}.",
        PHONE,
        "GET /check?phone=%2B56912345678 HTTP/1.1",
        f"mongodb://user:{SECRET}@db/?x=1",
        f"https://user:p@{SECRET}@example.com/hook",
        f"https://example.com/hook?a=1&token={SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        "harmless",
    ]
)
LEAVES = st.one_of(
    LEAKING_TEXTS,
    LEAKING_TEXTS.map(str.encode),
    LEAKING_TEXTS.map(ValueError),
    st.just(Path(f"/tmp/{PHONE}.csv")),
    st.builds(Somebody, LEAKING_TEXTS, LEAKING_TEXTS),
    st.builds(SecretStr, st.just(SECRET)),
    st.none() | st.booleans() | st.integers(0, 9) | st.just(datetime(2026, 3, 2, tzinfo=UTC)),
)
SECRET_NAMES = st.sampled_from(["password", "refresh_token", "RETELL_API_KEY", "Authorization", "mongodb_uri"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(["a", "to", PHONE]), inner, max_size=3),
        st.dictionaries(SECRET_NAMES, st.just(SECRET) | st.lists(st.just(SECRET)), max_size=2),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_line_carries_a_phone_or_a_secret_whatever_is_logged(start: Start, log_format: LogFormat) -> None:
    log = start(log_format)

    @given(event=LEAKING_TEXTS, value=VALUES, name=SECRET_NAMES)
    @settings(max_examples=60, deadline=None)
    def holds(event: str, value: Any, name: str) -> None:
        structlog.get_logger("test").info(event, value=value, **{name: SECRET})
        logging.getLogger("somebody").warning("%s: %s", event, value if isinstance(value, str) else "")
        with contextlib.suppress(ValueError):
            try:
                raise ValueError(event)
            except ValueError:
                structlog.get_logger("test").exception("failed", value=value)
                raise
        text = log.take()
        assert "12345678" not in text
        assert SECRET not in text

    holds()


def test_what_is_known_to_be_secret_is_hidden_wherever_it_turns_up(start: Start) -> None:
    log = start(secrets=[SECRET, f"{SECRET}-longer", "short"])
    error = RuntimeError(f"cannot sign with {SECRET}-longer")
    structlog.get_logger("test").info(f"x{SECRET}y", value=[{"a": SECRET}], error=error, word="shorter")
    assert SECRET not in log.text
    assert "longer" not in log.text
    assert "shorter" in log.text  # what is so short is a part of words


def test_what_ends_a_process_is_a_line_like_any_other(start: Start) -> None:
    log = start(secrets=[SECRET])
    try:
        raise LookupError(f"{PHONE} {SECRET}")
    except LookupError as error:
        sys.excepthook(LookupError, error, error.__traceback__)
    (line,) = log.lines
    assert (line["event"], line["level"]) == ("process_died", "critical")
    assert "LookupError" in line["exception"]
    assert SECRET not in log.text
    assert "12345678" not in log.text


def test_a_line_says_when_who_and_how_grave(start: Start) -> None:
    log = start()
    structlog.get_logger("worker").warning("event", count=3)
    (line,) = log.lines
    assert (line["event"], line["logger"], line["level"], line["count"]) == ("event", "worker", "warning", 3)
    assert line["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written(start: Start) -> None:
    log = start()
    structlog.get_logger("test").debug("event")
    logging.getLogger("httpx").info("GET https://api.retellai.com/v2/get-call/x")
    logging.getLogger("pymongo").info("event")
    assert log.lines == []


def test_texts_are_written_as_they_are_spoken(start: Start) -> None:
    log = start()
    structlog.get_logger("test").info("campaña", nombre="Ñandú")
    assert "campaña" in log.text
    assert log.lines[0]["nombre"] == "Ñandú"
