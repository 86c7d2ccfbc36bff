"""What is said to Retell, and what its answers mean.

A create is sent once and never repeated by the client (retell.md §1, §3.5): whoever repeats it must know that the
body and its key are the same. Reads are not repeated here either; those who follow a call ask again anyway.
"""

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from app.domain.calls import CallOrder, CallReport
from app.domain.diagnosis import LookedUp
from app.domain.ports import Time
from app.domain.provider_errors import (
    Ambiguous,
    CallUnknown,
    ConfigurationRejected,
    NotPlaced,
    NumberRejected,
    ProviderUnavailable,
    ProviderUnreachable,
    Throttled,
)
from app.domain.restoring import PastCall
from app.integrations.retell.http import Answer, Http, NeverSent, Unanswered, within
from app.integrations.retell.reports import UnreadableCall, past_call_of, report_of, storable
from app.integrations.retell.requests import create_request

RETRY_AFTER_CAP_SECONDS = 60.0
LIST_PAGE = 1000
THROTTLED_SECONDS = (1, 2, 4, 8, 16, 32)
_DETAIL_LENGTH = 300
# 4xx that say nothing of the call: a time-out, a request under the same key that is still under way, too early.
_NO_VERDICT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_NO_SUCH_CALL = {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST}


class _Concurrency(BaseModel):
    concurrency_limit: int
    reserved_inbound_concurrency: int = 0


class RetellClient:
    """One connection pool to Retell. Close it with `aclose`."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        time: Time,
        *,
        create_timeout: float,
        read_timeout: float,
        max_connections: int,
    ) -> None:
        api_key = api_key.strip()
        if not api_key.isascii() or not api_key.isprintable():
            # Whoever writes the header would say so too, at each request and perhaps with the key in its text.
            raise ValueError("the Retell API key has characters that no HTTP header can carry")
        self._time = time
        self._key = api_key
        self.key_mark = hashlib.sha256(api_key.encode()).hexdigest()[:12]
        self._create_timeout, self._read_timeout = within(create_timeout), within(read_timeout)
        self._http = Http(base_url, api_key, max_connections=max_connections)

    def request_body(self, order: CallOrder) -> str:
        return create_request(order)

    async def place(self, request_body: str) -> CallReport:
        try:
            answer = await self._http.send("POST", "/v2/create-phone-call", request_body.encode(), self._create_timeout)
        except NeverSent as error:
            raise ProviderUnreachable(str(error)) from error
        except Unanswered as error:
            raise Ambiguous(str(error)) from error
        if not answer.is_success:
            raise _refusal(answer, self._words(answer), self._time.now())
        try:
            report = report_of(answer.json())
        except (ValueError, UnreadableCall) as error:
            raise Ambiguous(f"unreadable {answer.status} answer") from error
        if report.attempt_id is not None and f'"{report.attempt_id}"' not in request_body:
            raise Ambiguous(f"a {answer.status} answer about another attempt")
        return report

    async def get(self, call_id: str) -> CallReport:
        report = _readable(await self._ask("GET", f"/v2/get-call/{quote(call_id, safe='')}"))
        if report.call_id != call_id:
            raise ProviderUnavailable("an answer about another call")
        return report

    async def find(self, attempt_id: str, to_number: str) -> list[CallReport]:
        criteria = {
            "metadata": [{"type": "string", "op": "eq", "key": "attempt_id", "value": attempt_id}],
            "to_number": {"type": "string", "op": "eq", "value": to_number},
        }
        payload = await self._ask("POST", "/v3/list-calls", {"filter_criteria": criteria, "limit": 50})
        items = payload.get("items") if isinstance(payload, dict) else None
        if not isinstance(items, list):
            raise ProviderUnavailable("unreadable list of calls")
        # Retell's filters are not documented to the last: a call of another attempt must never be taken for this one's.
        return [report for report in map(_readable, items) if report.attempt_id == attempt_id]

    def calls_of_batch(self, batch_id: str) -> AsyncIterator[PastCall]:
        # Without a time: a filter by it may leave out calls that never connected (retell.md §5).
        return self._past_calls({"metadata": [{"type": "string", "op": "eq", "key": "batch_id", "value": batch_id}]})

    async def calls_since(self, since: datetime) -> AsyncIterator[PastCall]:
        ours = {"type": "present", "op": "pr", "key": "job_id"}
        span = {"type": "number", "op": "ge", "value": int(since.timestamp() * 1000)}
        for moment in ("start_timestamp", "end_timestamp"):  # a call that never connected may have no start
            async for call in self._past_calls({"metadata": [ours], moment: span}):
                yield call

    async def _past_calls(self, criteria: dict[str, Any]) -> AsyncIterator[PastCall]:
        """Every page. Raises a ProviderError."""
        question: dict[str, Any] = {"filter_criteria": criteria, "sort_order": "ascending", "limit": LIST_PAGE}
        while True:
            page = await self._ask_patiently("POST", "/v3/list-calls", question)
            try:
                calls = [past_call_of(item) for item in page["items"]]
                has_more, place = page["has_more"], page.get("pagination_key")
            except (KeyError, TypeError, AttributeError, UnreadableCall) as error:
                raise ProviderUnavailable("unreadable list of calls") from error
            for call in calls:
                yield call
            if not has_more:
                return
            if not place:
                raise ProviderUnavailable("a list of calls that does not say how it goes on")
            question["pagination_key"] = place

    async def _ask_patiently(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """For whoever reads thousands of calls one page after the other, and would begin from the first again."""
        for wait in THROTTLED_SECONDS:
            try:
                return await self._ask(method, path, body)
            except Throttled as error:
                await asyncio.sleep(error.retry_after or wait)
        return await self._ask(method, path, body)

    async def max_concurrent(self) -> int:
        """What is left for outbound calls of the workspace's limit (retell.md §7.2). Bursts cost extra, and are not
        counted on."""
        payload = await self._ask("GET", "/get-concurrency")
        try:
            answer = _Concurrency.model_validate(payload)
        except ValidationError as error:
            raise ProviderUnavailable("unreadable concurrency") from error
        return max(0, answer.concurrency_limit - answer.reserved_inbound_concurrency)

    async def key_info(self) -> LookedUp:
        """Whose key ours is (retell.md §1: the cheapest check)."""
        return await self._look_up("/get-api-key-info")

    async def agent(self, agent_id: str) -> LookedUp:
        return await self._look_up(f"/get-agent/{quote(agent_id, safe='')}")

    async def phone_number(self, number: str) -> LookedUp:
        return await self._look_up(f"/get-phone-number/{quote(number, safe='')}")

    async def stop(self, call_id: str) -> None:
        try:
            await self._ask("POST", f"/v2/stop-call/{quote(call_id, safe='')}")
        except CallUnknown:
            # 422 is also Retell's answer for a call that is over: nothing is left to stop.
            return

    async def delete(self, call_id: str) -> bool:
        """https://docs.retellai.com/api-references/delete-call"""
        try:
            await self._ask("DELETE", f"/v2/delete-call/{quote(call_id, safe='')}")
        except CallUnknown as refused:
            # 404 and 422 are Retell's answers for an id that it does not know; a 422 may also mean that it will not.
            try:
                await self.get(call_id)
            except CallUnknown:
                return False
            raise ProviderUnavailable(f"not deleted: {refused.detail}") from refused
        return True

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _look_up(self, path: str) -> LookedUp:
        """Whatever is answered. Raises ProviderUnavailable if nothing is."""
        try:
            answer = await self._http.send("GET", path, None, self._read_timeout)
        except (NeverSent, Unanswered) as error:
            raise ProviderUnavailable(str(error)) from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        return LookedUp(
            status=answer.status,
            fields=body if isinstance(body, dict) else {},
            detail="" if answer.is_success else self._words(answer),
            date=_http_date(answer.headers.get("Date", "")),
        )

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request that creates nothing. Raises CallUnknown, Throttled or ProviderUnavailable."""
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = await self._http.send(method, path, content, self._read_timeout)
        except (NeverSent, Unanswered) as error:
            raise ProviderUnavailable(str(error)) from error
        if answer.status in _NO_SUCH_CALL:
            raise CallUnknown(self._words(answer))
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Throttled(self._words(answer), retry_after=_retry_after(answer, self._time.now()))
        if not answer.is_success:
            raise ProviderUnavailable(f"{answer.status} {self._words(answer)}")
        if not answer.body:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise ProviderUnavailable("unreadable answer") from error

    def _words(self, answer: Answer) -> str:
        """The provider's own: `message`, `error_message` or the text (retell.md §9); never our key, if echoed. They
        are stored as the reason why a job waits, or ended."""
        try:
            body = answer.json()
        except ValueError:
            body = answer.body.decode("utf-8", "replace")
        if isinstance(body, dict):
            body = body.get("message") or body.get("error_message") or json.dumps(body)
        words: str = storable(str(body))
        return (words.replace(self._key, "***") if self._key else words)[:_DETAIL_LENGTH]


def _refusal(answer: Answer, words: str, now: datetime) -> NotPlaced | Ambiguous:
    """What a create's error answer means (retell.md §9): only a 4xx is a sure "no call"."""
    detail = f"{answer.status} {words}"
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(detail, retry_after=_retry_after(answer, now))
    if answer.status in _NO_VERDICT or not 400 <= answer.status < 500:
        return Ambiguous(detail)
    if answer.status == HTTPStatus.BAD_REQUEST:
        # A 400 for this contact's number alone; any other would meet every contact the same.
        said = words.lower().replace("_", " ")
        if "do not call" in said or "dnc" in said:
            return NumberRejected(detail, do_not_call=True)
        if "to number" in said:
            return NumberRejected(detail)
    return ConfigurationRejected(detail)


def _readable(payload: Any) -> CallReport:
    try:
        return report_of(payload)
    except UnreadableCall as error:
        raise ProviderUnavailable(str(error)) from error


def _retry_after(answer: Answer, now: datetime) -> float | None:
    """Seconds to wait by `Retry-After`, which has seconds or an HTTP date; Retell does not document it."""
    given = answer.headers.get("Retry-After", "")
    try:
        seconds = float(given)
    except ValueError:
        date = _http_date(given)
        if date is None:
            return None
        seconds = (date - now).total_seconds()
    return min(seconds, RETRY_AFTER_CAP_SECONDS) if math.isfinite(seconds) and seconds > 0 else None


def _http_date(given: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(given)
    except ValueError:
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)
