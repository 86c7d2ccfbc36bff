"""Structured logs: one event a line, readable in a terminal, JSON for machines (`LOG_FORMAT=json`).

Ids are bound once around a unit of work; phone numbers are masked and secrets dropped before anything is written,
whoever wrote the log call.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

_PHONE = re.compile(r"(\+|%2[Bb])(\d{8,15})")
"""Also as it stands in the query of an address."""
_CREDENTIALS = (
    re.compile(r"(://)[^/\s]+(?=@)"),  # greedy: a password may hold an @ that should have been escaped
    re.compile(r"(Bearer )[^\s'\"]+"),
    re.compile(
        r"([?&](?:access_token|refresh_token|token|ticket|secret|api_key|key|password)=)[^\s&'\"]+", re.IGNORECASE
    ),
)
"""In a text of somebody else's: of an address, its query, or of a header."""
_MAY_HIDE = re.compile(r"[+%@=]|Bearer ")
"""What each of the above needs: most texts are ids, numbers and names, and have none of it."""
_HIDDEN = "***"
_SECRET_KEYS = ("password", "secret", "token", "api_key", "authorization", "mongodb_uri")
_SHORTEST_SECRET = 8
"""What is shorter is no secret, and might be a part of any word."""


def configure_logging(log_format: Literal["console", "json"], level: str, secrets: Iterable[str] = ()) -> None:
    """Set up structlog and the standard library's loggers; to stderr, so that commands can print results.

    `secrets` are hidden by their values too, wherever they turn up. What ends the process is a line like any other.
    """
    known = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,
        Masking(known),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    if log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    sys.excepthook = _say_what_ended_the_process
    for noisy in ("httpx", "httpcore", "pymongo", "python_multipart"):
        # httpx prints full addresses at INFO; our own lines carry the ids.
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for uvicorn_logger in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(uvicorn_logger).handlers = []
        logging.getLogger(uvicorn_logger).propagate = True


def _say_what_ended_the_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    structlog.get_logger("process").critical("process_died", exc_info=(kind, error, trace))


def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace the value of every key that names a secret, however deep."""
    return {key: _HIDDEN if _is_secret(key) else _each(value, _hide) for key, value in event.items()}


class Masking:
    """Masks every international phone number, credentials and known secrets, in every text and object, however deep."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one may begin with another.
        self._secrets = sorted(set(secrets), key=len, reverse=True)

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        # structlog's own are taken out before anything is written.
        return {key: value if key.startswith("_") else _each(value, self._mask) for key, value in event.items()}

    def _mask(self, _: object, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | dict | list):
            return value
        # An object would be written as its text, which nobody would have looked at.
        text = repr(value) if isinstance(value, BaseException) else str(value)
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        if not _MAY_HIDE.search(text):
            return text
        for credentials in _CREDENTIALS:
            text = credentials.sub(rf"\1{_HIDDEN}", text)
        return mask_phones(text)


def _is_secret(key: object) -> bool:
    return _names_secret(str(key))


@lru_cache(maxsize=1000)
def _names_secret(key: str) -> bool:
    """Remembered: log calls name the same keys again and again."""
    return any(word in key.lower() for word in _SECRET_KEYS)


def _hide(key: object, value: Any) -> Any:
    return _HIDDEN if _is_secret(key) else value


def _each(value: Any, change: Callable[[object, Any], Any], key: object = None) -> Any:
    """`value` with `change(key, leaf)` in place of every leaf of its dicts and lists; `key` is "" outside of dicts."""
    if isinstance(value, dict):
        return {mask_phones(str(k)): change(k, _each(v, change, k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_each(item, change) for item in value]
    return change("" if key is None else key, value)


def mask_phones(text: str) -> str:
    """The text with all but the country and the last three digits of every `+…` number starred."""
    return _PHONE.sub(lambda match: f"{match[1]}{match[2][:3]}{'*' * (len(match[2]) - 6)}{match[2][-3:]}", text)
