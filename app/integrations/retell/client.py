"""Retell over HTTP: the only module that talks to it.

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
from typing import Any
from urllib.parse import quote

import httpx
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
from app.integrations.retell.reports import UnreadableCall, past_call_of, report_of
from app.integrations.retell.requests import create_request

CONNECT_SECONDS = 5.0
RETRY_AFTER_CAP_SECONDS = 60.0
LIST_PAGE = 1000
THROTTLED_SECONDS = (1, 2, 4, 8, 16, 32)
_DETAIL_LENGTH = 300
# 4xx that say nothing of the call: a time-out, a request under the same key that is still under way, too early.
_NO_VERDICT = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.CONFLICT, httpx.codes.TOO_EARLY}

# No byte of the request left us: the connection was never there, or we never got one to use.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
# Everything that httpx raises: these have no common base.
_ANY = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)


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
            # httpx would say so too, at each request and with the key in its text.
            raise ValueError("the Retell API key has characters that no HTTP header can carry")
        self._time = time
        self.key_mark = hashlib.sha256(api_key.encode()).hexdigest()[:12]
        self._create_timeout = httpx.Timeout(create_timeout, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
            timeout=httpx.Timeout(read_timeout, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            follow_redirects=False,
        )

    def request_body(self, order: CallOrder) -> str:
        return create_request(order)

    async def place(self, request_body: str) -> CallReport:
        try:
            response = await self._http.post(
                "/v2/create-phone-call", content=request_body.encode(), timeout=self._create_timeout
            )
        except _NEVER_SENT as error:
            raise ProviderUnreachable(_name(error)) from error
        except _ANY as error:
            raise Ambiguous(_name(error)) from error
        if response.status_code != httpx.codes.CREATED and not response.is_success:
            raise _refusal(response, self._time.now())
        try:
            return report_of(response.json())
        except (ValueError, UnreadableCall) as error:
            raise Ambiguous(f"unreadable {response.status_code} answer") from error

    async def get(self, call_id: str) -> CallReport:
        return _readable(await self._ask("GET", f"/v2/get-call/{quote(call_id, safe='')}"))

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
            response = await self._http.get(path)
        except _ANY as error:
            raise ProviderUnavailable(_name(error)) from error
        try:
            body = response.json()
        except ValueError:
            body = None
        return LookedUp(
            status=response.status_code,
            fields=body if isinstance(body, dict) else {},
            detail="" if response.is_success else _detail(response),
            date=_http_date(response.headers.get("Date", "")),
        )

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request that creates nothing. Raises CallUnknown, Throttled or ProviderUnavailable."""
        try:
            response = await self._http.request(method, path, json=body)
        except _ANY as error:
            raise ProviderUnavailable(_name(error)) from error
        if response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.BAD_REQUEST}:
            raise CallUnknown(_detail(response))
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise Throttled(_detail(response), retry_after=_retry_after(response, self._time.now()))
        if not response.is_success:
            raise ProviderUnavailable(f"{response.status_code} {_detail(response)}")
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise ProviderUnavailable("unreadable answer") from error


def _refusal(response: httpx.Response, now: datetime) -> NotPlaced | Ambiguous:
    """What a create's error answer means (retell.md §9): only a 4xx is a sure "no call"."""
    detail = f"{response.status_code} {_detail(response)}"
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(detail, retry_after=_retry_after(response, now))
    if response.status_code in _NO_VERDICT or not response.is_client_error:
        return Ambiguous(detail)
    if response.status_code == httpx.codes.BAD_REQUEST:
        # A 400 for this contact's number alone; any other would meet every contact the same.
        words = detail.lower().replace("_", " ")
        if "do not call" in words or "dnc" in words:
            return NumberRejected(detail, do_not_call=True)
        if "to number" in words:
            return NumberRejected(detail)
    return ConfigurationRejected(detail)


def _readable(payload: Any) -> CallReport:
    try:
        return report_of(payload)
    except UnreadableCall as error:
        raise ProviderUnavailable(str(error)) from error


def _detail(response: httpx.Response) -> str:
    """The provider's own words: `message`, `error_message` or the text (retell.md §9); never our key, if echoed."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    if isinstance(body, dict):
        body = body.get("message") or body.get("error_message") or json.dumps(body)
    key = response.request.headers["Authorization"].removeprefix("Bearer ")
    return (str(body).replace(key, "***") if key else str(body))[:_DETAIL_LENGTH]


def _retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Seconds to wait by `Retry-After`, which has seconds or an HTTP date; Retell does not document it."""
    given = response.headers.get("Retry-After", "")
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


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_DETAIL_LENGTH]
