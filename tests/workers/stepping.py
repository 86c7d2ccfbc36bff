"""A worker in a time of the test's own: its clock stands still until it is moved, and the database's with it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app import bootstrap
from app.bootstrap import Container, open_call_work
from app.domain.calls import CallOrder, CallReport, CallStatus
from app.domain.jobs import Attempt, Job
from app.repositories.job_queue import MongoJobQueue
from app.services.call_work import CallWork
from app.services.worker_control import WorkerControl
from tests.builders import FakeTime

BETWEEN_READS = timedelta(milliseconds=2)


@dataclass
class InstantRetell:
    """Every call is over at once; who was called when is noted. (The simulator's time cannot be moved by minutes.)"""

    time: FakeTime
    reasons: dict[str, str] = field(default_factory=dict)
    """How calls to a number end; the others are answered."""
    placed: list[tuple[datetime, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    key_mark = "k"

    def request_body(self, order: CallOrder) -> str:
        return order.model_dump_json()

    async def place(self, request_body: str) -> CallReport:
        body = json.loads(request_body)
        self.placed.append((self.time.now(), body["to_number"]))
        self.bodies.append(body)
        return self._report(f"{body['to_number']} {body['attempt_id']}", CallStatus.REGISTERED)

    async def get(self, call_id: str) -> CallReport:
        reason = self.reasons.get(call_id.split()[0], "user_hangup")
        answered = reason == "user_hangup"
        return self._report(
            call_id,
            CallStatus.ENDED if answered else CallStatus.NOT_CONNECTED,
            disconnection_reason=reason,
            user_spoke=answered,
            analysis={},
            cost_cents=0,
        )

    async def find(self, attempt_id: str, to_number: str) -> list[CallReport]:
        return []

    async def max_concurrent(self) -> int:
        return 50

    async def stop(self, call_id: str) -> None:
        raise AssertionError("no call lasts")

    async def aclose(self) -> None:
        return

    def _report(self, call_id: str, status: CallStatus, **fields: Any) -> CallReport:
        return CallReport.model_validate(
            {"call_id": call_id, "status": status, "attempt_id": call_id.split()[1], **fields}
        )


@dataclass
class SteppedWorker:
    time: FakeTime
    retell: InstantRetell
    work: CallWork
    control: WorkerControl

    async def step_to(self, at: datetime) -> None:
        """Move the time; the heartbeat comes along."""
        self.time.advance(at - self.time.now())
        self.control.renewed_at = self.time.monotonic()

    async def call_all(self) -> int:
        """Claim and dial until nothing is found any more; how many jobs were taken."""
        taken = 0
        while jobs := await self.work.claim(50):
            for job in jobs:
                await self.work.process(job)
                # Retell is read at a measured pace, which needs some time to pass.
                self.time.advance(BETWEEN_READS)
            taken += len(jobs)
        return taken


@asynccontextmanager
async def stepped_worker(
    container: Container, start: datetime, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SteppedWorker]:
    time = FakeTime(start)
    retell = InstantRetell(time)
    intend = MongoJobQueue.intend

    async def intend_at_the_tests_time(
        self: MongoJobQueue, job: Job, attempt: Attempt, *, lease: timedelta
    ) -> Job | None:
        stored = await intend(self, job, attempt, lease=lease)
        return None if stored is None else stored.model_copy(update={"updated_at": time.now()})

    monkeypatch.setattr(MongoJobQueue, "intend", intend_at_the_tests_time)
    monkeypatch.setattr(bootstrap, "RetellClient", lambda *_, **__: retell)
    control = WorkerControl("stepped", time, timedelta(seconds=60))
    settings = container.settings.model_copy(update={"retell_reads_per_second": 1000})
    stepped = replace(container, settings=settings, clock=time)  # type: ignore[arg-type] # all that is asked of it is what Time has
    async with open_call_work(stepped, control) as work:
        yield SteppedWorker(time, retell, work, control)
