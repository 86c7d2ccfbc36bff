"""The statements at which a process of ours ends (or freezes) itself, numbered as in queues.md §4.

The product has no code for this. `crashing_worker` and `crashing_api` wrap its methods from outside, in their own
process, and send the signal from within the wrapped call, so that not one statement runs after it.
"""

import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientRequest, ClientResponse
from pymongo.asynchronous.pool import AsyncConnection

from app.domain.calls import CallStatus
from app.domain.jobs import JobState
from app.integrations.retell.client import RetellClient
from app.integrations.webhook_sender import WebhookSender
from app.repositories.accounts import MongoAccounts
from app.repositories.imports import MongoImports
from app.repositories.job_queue import MongoJobQueue
from app.repositories.jobs import MongoJobs
from app.repositories.transactions import MongoTransactions
from app.repositories.untold import MongoUntold
from app.repositories.webhooks import MongoDeliveries, MongoDeliveryQueue, MongoWebhooks
from app.services.dialing import Dialing
from app.services.verifying import Verifying

CARRIED_OUT_SECONDS = 0.3
"""How long a process that has sent a command lives on, frozen, so that MongoDB has carried it out when it dies."""
NAME = "CHAOS_DEATH"
"""The environment variable with the key of `DEATHS`; unset or empty: the process lives."""
SIGNAL = "CHAOS_SIGNAL"
"""KILL, or STOP for a process that is to be thawed later."""

End = Callable[[], None]
Arm = Callable[[End], None]
When = Callable[..., bool]


@dataclass(frozen=True)
class Death:
    """One point: its number in queues.md §4, where that is, and what wraps the product so that it is hit."""

    number: str
    where: str
    arm: Arm


def arm_from_environment() -> None:
    """Make this process end at the point that the environment names, the first time that it comes there."""
    name = os.environ.get(NAME, "")
    if name:
        (DEATHS | DEATHS_OF_TELLING)[name].arm(_once(name, signal.Signals[f"SIG{os.environ.get(SIGNAL, 'KILL')}"]))


def _once(name: str, number: signal.Signals) -> End:
    done = False

    def end() -> None:
        nonlocal done
        if not done:
            done = True
            sys.stderr.write(f"chaos: {number.name} at {name}\n")
            os.kill(os.getpid(), number)

    return end


def _wrap(owner: type, method: str, wrapper: Callable[[Callable[..., Awaitable[Any]]], Any]) -> None:
    setattr(owner, method, wrapper(getattr(owner, method)))


def before(owner: type, method: str, when: When = lambda *_, **__: True) -> Arm:
    """On entry: what the method would have written or sent does not exist."""

    def arm(end: End) -> None:
        def wrapper(real: Callable[..., Awaitable[Any]]) -> Any:
            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                if when(*args, **kwargs):
                    end()
                return await real(*args, **kwargs)

            return wrapped

        _wrap(owner, method, wrapper)

    return arm


def after(owner: type, method: str, when: When = lambda *_: True) -> Arm:
    """On return, before the caller knows. `when` sees the result."""

    def arm(end: End) -> None:
        def wrapper(real: Callable[..., Awaitable[Any]]) -> Any:
            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                result = await real(*args, **kwargs)
                if when(result):
                    end()
                return result

            return wrapped

        _wrap(owner, method, wrapper)

    return arm


def unread(owner: type, method: str, command: str, when: When = lambda *_, **__: True) -> Arm:
    """The method's `command` has gone out and MongoDB has carried it out, but its answer is never read.

    What several jobs write at the same time goes out as one `update`.
    """
    markers = [b"\x02" + name.encode() + b"\x00" for name in {command, "update"}]

    def arm(end: End) -> None:
        inside = ContextVar("inside", default=False)

        def wrapper(real: Callable[..., Awaitable[Any]]) -> Any:
            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                token = inside.set(when(*args, **kwargs))
                try:
                    return await real(*args, **kwargs)
                finally:
                    inside.reset(token)

            return wrapped

        def sender(real: Callable[..., Awaitable[Any]]) -> Any:
            async def send_message(connection: AsyncConnection, message: bytes, size: int) -> None:
                await real(connection, message, size)
                if inside.get() and any(marker in message for marker in markers):
                    time.sleep(CARRIED_OUT_SECONDS)  # noqa: ASYNC251 - the whole process is to stand still
                    end()

            return send_message

        _wrap(owner, method, wrapper)
        _wrap(AsyncConnection, "send_message", sender)

    return arm


def _creates(message: ClientRequest | ClientResponse, *_: Any) -> bool:
    return message.url.path.endswith("/create-phone-call")


def written(end: End) -> None:
    """The create request has been handed to the operating system, whole."""

    def wrapper(real: Callable[..., Awaitable[None]]) -> Any:
        async def write_bytes(request: ClientRequest, *args: Any) -> None:
            await real(request, *args)
            if _creates(request):
                end()

        return write_bytes

    _wrap(ClientRequest, "write_bytes", wrapper)


def half_of_the_jobs(end: End) -> None:
    """`insert_contacts` writes the first half of its jobs, and then the process ends."""

    def wrapper(real: Callable[..., Awaitable[Any]]) -> Any:
        async def insert_contacts(repository: MongoJobs, pattern: Any, contacts: Any) -> Any:
            await real(repository, pattern, contacts[: len(contacts) // 2])
            end()
            return await real(repository, pattern, contacts)

        return insert_contacts

    _wrap(MongoJobs, "insert_contacts", wrapper)


def _is_ongoing(report: Any) -> bool:
    return bool(report.status is CallStatus.ONGOING)


def _retries(_queue: MongoJobQueue, _job: Any, step: Any, *_: Any) -> bool:
    return bool(step.state is JobState.PENDING)


_DEATHS = (
    Death("1a", "API: batch stored, no contact yet", before(MongoJobs, "insert_contacts")),
    Death("1b", "API: half of the contacts stored", half_of_the_jobs),
    Death("1c", "API: import finished, reply not sent", unread(MongoImports, "close", "findAndModify")),
    Death("1d", "API: contacts stored after the answer, import not closed", before(MongoImports, "close")),
    Death("2", "claim carried out, answer unread", unread(MongoJobQueue, "claim", "update")),
    Death("3a", "leased, nothing decided", before(Dialing, "dial")),
    Death("3b", "money reserved, answer unread", unread(MongoAccounts, "reserve", "update")),
    Death("3c", "money reserved, intent not sent", before(MongoJobQueue, "intend")),
    Death("4", "intent carried out, answer unread", unread(MongoJobQueue, "intend", "findAndModify")),
    Death("5", "intent stored, request not sent", before(RetellClient, "place")),
    Death("5b", "withdrawn (Retell away), money not given back", before(MongoAccounts, "release")),
    Death("6a", "request written to the socket", written),
    Death("6b", "Retell's answer arrived, body unread", after(ClientResponse, "start", _creates)),
    Death("7a", "reply read, in_call not stored", before(MongoJobQueue, "mark_in_call")),
    Death("7b", "in_call carried out, answer unread", unread(MongoJobQueue, "mark_in_call", "findAndModify")),
    Death("7c", "adopted by a second worker, nothing asked", before(Verifying, "verify")),
    Death("8", "somebody talks on the phone", after(RetellClient, "get", _is_ongoing)),
    Death("9", "call over, outcome not stored", before(MongoJobQueue, "settle")),
    Death("10a", "outcome carried out, answer unread", unread(MongoJobQueue, "settle", "findAndModify")),
    Death("10b", "outcome stored, not in the ledger", before(MongoTransactions, "add")),
    Death("10c", "in the ledger, balance not charged", before(MongoAccounts, "settle")),
    Death("10d", "balance charge carried out, answer unread", unread(MongoAccounts, "settle", "update")),
    Death("10e", "balance charged, job not finished", before(MongoJobQueue, "finish")),
    Death("10f", "finish carried out, answer unread", unread(MongoJobQueue, "finish", "update")),
    Death("10g", "retry scheduled, answer unread", unread(MongoJobQueue, "finish", "update", _retries)),
    Death("11", "between the last check and the socket", before(ClientRequest, "send", _creates)),
)
DEATHS = {death.number: death for death in _DEATHS}

# Beside the calls: played by tests/workers/test_outgoing_deaths.py.
DEATHS_OF_TELLING = {
    death.number: death
    for death in (
        Death("t1", "event in the job, no delivery yet", before(MongoDeliveries, "add")),
        Death("t2", "deliveries carried out, answer unread", unread(MongoDeliveries, "add", "insert")),
        Death("t3", "deliveries stored, webhook not woken", before(MongoWebhooks, "wake")),
        Death("t4", "webhook woken, event still in the job", before(MongoUntold, "told")),
        Death("t5", "webhook in hand, nothing sent", before(WebhookSender, "send")),
        Death("t6", "sent and answered, not recorded", before(MongoDeliveryQueue, "record")),
        Death("t7", "recorded, webhook still in hand", before(MongoDeliveryQueue, "let_go")),
    )
}
