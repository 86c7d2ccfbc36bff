"""/from-numbers over HTTP."""

from datetime import timedelta

import httpx

from app.bootstrap import Container
from app.domain.batches import BatchStatus, Block
from app.domain.from_numbers import CallEnd, Rest, rested
from app.repositories.batches import MongoBatches
from app.repositories.from_numbers import MongoFromNumbers
from tests.builders import make_batch, phone

OURS = "+56226000000"


async def suspected(container: Container, ends: int) -> None:
    numbers = MongoFromNumbers(container.database)
    now = container.clock.now()
    number = None
    for place in range(ends):
        end = CallEnd(attempt_id=f"a{place}", phone=phone(place), reason="marked_as_spam", at=now)
        number = await numbers.note(OURS, end, first=True)
    assert number is not None
    if ends >= 3:
        assert await numbers.change(rested(number, now))


async def test_numbers_in_good_standing_are_not_listed(api: httpx.AsyncClient) -> None:
    reply = await api.get("/from-numbers")
    assert (reply.status_code, reply.json(), reply.headers["X-Total-Count"]) == (200, [], "0")


async def test_a_suspect_and_a_resting_number_say_why(api: httpx.AsyncClient, container: Container) -> None:
    await suspected(container, 2)
    (shown,) = (await api.get("/from-numbers")).json()
    assert (shown["from_number"], shown["status"], shown["reason"]) == (OURS, "suspect", None)
    assert shown["last_ends"] == {"marked_as_spam": 2}

    await suspected(container, 3)
    (shown,) = (await api.get("/from-numbers", headers={"Accept-Language": "en"})).json()
    assert (shown["status"], shown["rests"]) == ("resting", 1)
    assert shown["reason"]["code"] == "from_number_blocked"
    assert OURS in shown["reason"]["message"]
    assert shown["rests_until"].endswith("Z")


async def test_a_reset_forgets_and_wakes_the_batches_that_wait(api: httpx.AsyncClient, container: Container) -> None:
    await suspected(container, 3)
    now = container.clock.now()
    until = now + timedelta(hours=1)
    batches = MongoBatches(container.database)
    for name, number in {"ours": OURS, "other": "+56226000001"}.items():
        reason = Rest(number=number, until=until).reason("America/Santiago")
        block = Block(reason=reason, since=now, until=until)
        await batches.insert(make_batch(batch_id=name, status=BatchStatus.RUNNING, block=block, wake_at=until))

    reply = await api.post(f"/from-numbers/{OURS}/reset")
    assert (reply.status_code, reply.json()["status"]) == (200, "good")
    again = await api.post(f"/from-numbers/{OURS}/reset")
    assert (again.status_code, again.json()["code"]) == (404, "from_number_not_suspected")

    assert (await api.get("/from-numbers")).json() == []
    woken, other = await batches.get("ours"), await batches.get("other")
    assert woken is not None
    assert other is not None
    assert woken.wake_at is not None
    assert woken.wake_at < until
    assert other.wake_at == until - timedelta(microseconds=until.microsecond % 1000)
