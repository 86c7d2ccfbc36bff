"""Past calls: the list of them, and when people answer."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.domain.errors import FieldError, InvalidInput, NotFound
from app.domain.local_days import day_span, day_start, stretches
from app.domain.ports import Accounts, Batches, Time
from app.domain.reading import Answered, CallHistory, CallScope, PastCall, Place, Slot, Statistics
from app.domain.searching import AgeSort
from app.services.repeating import Repeating

MOST_COUNTED = 100_000
"""The calls of a longer list are not counted: to do so reads every job that was called."""
AHEAD = timedelta(minutes=1)
"""No call is later than now by more than the machines' clocks differ."""
USUAL_DAYS = 30
MOST_DAYS = 366
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Activity:
    account_id: str
    timezone: str
    first: date
    last: date
    slots: dict[Slot, Answered]


class PastCallService:
    def __init__(
        self, accounts: Accounts, batches: Batches, statistics: Statistics, calls: CallHistory, time: Time
    ) -> None:
        self._accounts = accounts
        self._batches = batches
        self._statistics = statistics
        self._calls = calls
        self._time = time
        self._counts: Repeating[int] = Repeating(time, int)
        self._activities: Repeating[dict[Slot, Answered]] = Repeating(time, _calls_in)

    async def page(
        self,
        *,
        account_ids: Collection[str] | None,
        batch_id: str | None,
        start: date | datetime | None,
        end: date | datetime | None,
        limit: int,
        skip: int,
        after: Place | None,
        sort: AgeSort = AgeSort.NEWEST,
    ) -> tuple[list[PastCall], int | None]:
        """From behind `after`, and without it how many there are in all if not more than MOST_COUNTED.

        A date without a time is a day of the account's zone, or of UTC where the accounts' zones differ; the end's
        is included.
        """
        scope = await self._scope(account_ids, batch_id, start, end)
        if not scope.account_ids or scope.since >= scope.until:
            return [], None if after else 0
        found = await self._calls.page(scope, after=after, limit=limit + skip, sort=sort)
        if after is not None:
            return found[skip:], None
        key = (frozenset(scope.account_ids), batch_id, start, end)
        total = await self._counts.get(key, lambda: self._calls.count(scope, MOST_COUNTED + 1))
        return found[skip:], total if total <= MOST_COUNTED else None

    async def activity(self, account_id: str, first: date | None, last: date | None) -> Activity:
        """Of the days from `first` to `last`, both included; by default the last thirty."""
        account = await self._accounts.get(account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=account_id)
        last = last or self._time.now().astimezone(ZoneInfo(account.timezone)).date()
        first = first or last - timedelta(days=USUAL_DAYS - 1)
        if not first <= last < first + timedelta(days=MOST_DAYS):
            raise InvalidInput([FieldError.of(("query", "end_date"), "date_range_unusable", days=MOST_DAYS)])
        since, until = day_span(first, last, account.timezone)
        spans = stretches(since, until, account.timezone)
        key = (account_id, account.timezone, first, last)
        slots = await self._activities.get(key, lambda: self._calls.activity(account_id, spans))
        return Activity(account_id, account.timezone, first, last, slots)

    async def _scope(
        self,
        account_ids: Collection[str] | None,
        batch_id: str | None,
        start: date | datetime | None,
        end: date | datetime | None,
    ) -> CallScope:
        batch = await self._batches.get(batch_id) if batch_id else None
        if batch is not None:
            account_ids = [batch.account_id] if account_ids is None or batch.account_id in account_ids else []
        elif batch_id:
            account_ids = []
        accounts = await self._statistics.accounts(account_ids)
        zones = {account.timezone for account in accounts}
        zone = zones.pop() if len(zones) == 1 else "UTC"
        return CallScope(
            account_ids=[account.account_id for account in accounts],
            batch_id=batch_id,
            since=_BEGINNING if start is None else _edge(start, zone, "start_date"),
            until=self._time.now() + AHEAD if end is None else _edge(end, zone, "end_date", days=1),
        )


def _calls_in(slots: dict[Slot, Answered]) -> int:
    return sum(slot.calls for slot in slots.values())


def _edge(at: date | datetime, zone: str, name: str, days: int = 0) -> datetime:
    """The instant that is meant: `days` after the beginning of a date, or the very one."""
    try:
        return at if isinstance(at, datetime) else day_start(at + timedelta(days=days), zone)
    except OverflowError:
        raise InvalidInput([FieldError.of(("query", name), "instant_out_of_range")]) from None
