"""A database with a backlog: batches and jobs cloned from ones that the application itself has made."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.bootstrap import Container
from app.domain.accounts import Features
from app.domain.batches import Batch, CallSettings, Priority, ScheduleType, VoiceSettings
from app.domain.calling_hours import CallingHours
from app.domain.money import Plan
from app.services.accounts import NewAccount
from app.services.batch_creation import NewBatch
from benchmarks.site import say

Document = dict[str, Any]

ACCOUNT = "acc-bench"
LIMIT = 50
"""Simultaneous calls of the account: the most that one may have."""
TEMPLATES = 1000
CHUNK = 5000
AHEAD = timedelta(days=30)
"""Of what is in the future."""
BESIDE = 200
"""Jobs that are due where the backlog is in the future or finished, unless it says otherwise."""

ALWAYS = CallingHours.model_validate(
    {"start": "00:00", "end": "00:00", "days_of_week": range(7), "timezone": "America/Santiago"}
)


class Mix(StrEnum):
    DUE = "due"
    FUTURE = "future"
    FINISHED = "finished"

    @property
    def fields(self) -> Document:
        """What a job of the backlog has that a new one has not."""
        return {"state": "completed"} if self is Mix.FINISHED else {}


@dataclass(frozen=True)
class Backlog:
    """`size` jobs of the mix's kind, and some due ones where that kind is not due, over `batches` batches."""

    size: int
    mix: Mix
    batches: int
    beside: int = BESIDE

    @property
    def due(self) -> int:
        return self.size if self.mix is Mix.DUE else self.beside

    @property
    def total(self) -> int:
        return self.size if self.mix is Mix.DUE else self.size + self.beside


class Filler:
    """Knows what every document of a backlog looks like, so that one can be put back as it was."""

    def __init__(self, backlog: Backlog, batch: Document, jobs: list[Document]) -> None:
        self._backlog = backlog
        self._batch = batch
        self._jobs = jobs

    def batch_id(self, number: int) -> str:
        return f"batch-{number % self._backlog.batches:012d}"

    def batches(self) -> Iterator[Document]:
        for number in range(self._backlog.batches):
            jobs = -(-self._backlog.total // self._backlog.batches)
            yield self._batch | {"_id": self.batch_id(number), "total_jobs": jobs}

    def job(self, number: int) -> Document:
        """The job of that number; the first `due` ones are due."""
        backlog, template = self._backlog, self._jobs[number % len(self._jobs)]
        changes: Document = {"_id": f"{self.batch_id(number)}-{number:07d}", "batch_id": self.batch_id(number)}
        if number >= backlog.due:
            changes |= backlog.mix.fields
            if backlog.mix is Mix.FUTURE:
                changes["due_at"] = template["due_at"] + AHEAD
        return template | changes

    def original(self, job_id: str) -> Document:
        return self.job(int(job_id.rpartition("-")[2]))

    async def fill(self, container: Container) -> None:
        """Only this backlog is in the database afterwards."""
        jobs, batches = container.database.collection("jobs"), container.database.collection("batches")
        await jobs.delete_many({})
        await batches.delete_many({})
        await batches.insert_many(self.batches())
        for start in range(0, self._backlog.total, CHUNK):
            numbers = range(start, min(start + CHUNK, self._backlog.total))
            await jobs.insert_many([self.job(number) for number in numbers], ordered=False)
            if (start // CHUNK) % 50 == 49:
                say(f"  {numbers.stop:,} jobs")


async def filled(container: Container, backlog: Backlog) -> Filler:
    """Fill an empty database with `backlog`; its documents are those of a batch that was created as by the API."""
    await customer(container, ACCOUNT)
    created = await campaign(container, ACCOUNT, contacts(TEMPLATES))
    collections = container.database
    batch = await collections.collection("batches").find_one({"_id": created.batch_id})
    assert batch is not None  # noqa: S101 - it was created a line above
    jobs = [job async for job in collections.collection("jobs").find({"batch_id": created.batch_id})]
    filler = Filler(backlog, batch, jobs)
    await filler.fill(container)
    return filler


async def customer(container: Container, account_id: str) -> None:
    """An account with money enough and as many simultaneous calls as one may have."""
    await container.accounts.create(
        NewAccount(
            account_id=account_id,
            account_name="Empresa XYZ",
            contact_name="María",
            contact_email="maria@example.com",
            contact_phone=None,
            plan_type=Plan.CREDIT_BASED,
            initial_credits=Decimal(1_000_000),
            initial_minutes=Decimal(0),
            features=Features(max_concurrent_calls=LIMIT),
            timezone="America/Santiago",
            country=None,
            pricing=None,
            retell_agent_id=None,
            retell_from_number=None,
        )
    )


async def campaign(
    container: Container,
    account_id: str,
    people: list[dict[str, Any]],
    *,
    hours: CallingHours = ALWAYS,
    longest: int = 300,
    scheduled_at: datetime | None = None,
) -> Batch:
    """A running batch of the account, or one that begins at `scheduled_at`; `longest` of a call in seconds."""
    new = NewBatch(
        account_id=account_id,
        name="Cobranza noviembre",
        description=None,
        script_content="Hola {{nombre}}, le llamo de {{empresa}} por su deuda de {{monto_deuda}}.",
        voice_settings=VoiceSettings(),
        call_settings=CallSettings(hours=hours, max_attempts=1, max_call_duration=longest),
        schedule_type=ScheduleType.SCHEDULED if scheduled_at else ScheduleType.IMMEDIATE,
        scheduled_at=scheduled_at,
        recurring=None,
        priority=Priority.NORMAL,
        budget=None,
        retell_agent_id=None,
        retell_from_number=None,
        contacts=people,
        upload_id=None,
        allow_missing_variables=True,
        idempotency_key=None,
        request_digest="",
    )
    return await container.batch_creation.create(new, user="bench")


def contacts(count: int, first: int = 0) -> list[dict[str, Any]]:
    """People as a sheet brings them, all different: two phones, an e-mail address, a few columns of their own."""
    return [
        {
            "name": f"Contacto {number}",
            "phones": [f"+5698{number:07d}", f"+5697{number:07d}"],
            "email": f"contacto{number}@example.com",
            "rut": f"{12_000_000 + number}-9",
            "monto_deuda": str(50_000 + number),
            "fecha_vencimiento": "2026-11-30",
        }
        for number in range(first, first + count)
    ]
