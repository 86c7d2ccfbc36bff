"""Our own numbers: which rest, which are tried again, and what each call's end says of the one it came from.

Numbers in good standing cost nothing: there is no document of them, none is read when dialing, and none written when
a call ends well.
"""

import structlog

from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.errors import NotFound
from app.domain.from_numbers import PROBE_FOR, CallEnd, FromNumber, Probe, Rest, Sign, Verdict, breaker, rested, sign_of
from app.domain.jobs import Job
from app.domain.ports import Batches, FromNumbers, Time

log = structlog.get_logger("worker")
operator_log = structlog.get_logger("api")


class FromNumberWatch:
    """A worker's view, as of its last look."""

    def __init__(self, numbers: FromNumbers, batches: Batches, time: Time, default: str) -> None:
        """`default`: what a call comes from where neither batch nor account has a number."""
        self._numbers = numbers
        self._batches = batches
        self._time = time
        self._default = default
        self._suspects: dict[str, FromNumber] = {}

    async def look(self) -> None:
        self._suspects = {suspect.number: suspect for suspect in await self._numbers.suspects()}

    def number_of(self, batch: Batch, account: Account) -> str:
        """The number that a batch's calls come from."""
        return batch.retell_from_number or account.retell_from_number or self._default

    def suspect_of(self, batch: Batch, account: Account) -> FromNumber | None:
        return self._suspects.get(self.number_of(batch, account))

    async def rest_of(self, job: Job, batch: Batch, account: Account) -> Rest | None:
        """Whether the number of `job` rests. Where it is tried with one call at a time, `job` is that call if not."""
        suspect, now = self.suspect_of(batch, account), self._time.now()
        if suspect is None:
            return None
        if not suspect.is_tried(now):
            return suspect.rest(now)
        probe = Probe(attempt_id=job.attempt_id or "", until=now + PROBE_FOR)
        if await self._numbers.take_probe(suspect.number, probe, now):
            return None
        current = await self._numbers.get(suspect.number)
        return None if current is None else current.rest(now)

    async def let_go(self, job: Job) -> None:
        """`job` was not dialed after all: another may be the one call."""
        for suspect in self._suspects.values():
            if suspect.is_tried(self._time.now()) and job.attempt_id is not None:
                await self._numbers.let_go(suspect.number, job.attempt_id)

    async def note(self, job: Job) -> None:
        """The call of a job that is settling is over, or was refused before it began. Repeating it changes nothing."""
        attempt, report = job.attempt, job.report
        if attempt is None or attempt.from_number is None:
            return
        number, reason = attempt.from_number, report.disconnection_reason if report else None
        sign = sign_of(reason)
        if sign is not Sign.BAD and number not in self._suspects:
            return
        if sign is Sign.NEUTRAL:
            suspect = await self._numbers.get(number)
        else:
            end = CallEnd(attempt_id=attempt.attempt_id, phone=attempt.phone, reason=reason or "", at=self._time.now())
            suspect = await self._numbers.note(number, end, first=sign is Sign.BAD)
        if suspect is not None:
            await self._judge(suspect, attempt.attempt_id, reason)

    async def _judge(self, suspect: FromNumber, attempt_id: str, reason: str | None) -> None:
        self._suspects[suspect.number] = suspect
        match breaker(suspect, attempt_id, reason):
            case Verdict.REST:
                resting = rested(suspect, self._time.now())
                if await self._numbers.change(resting):
                    self._suspects[suspect.number] = resting
                    log.error(
                        "from_number_rests",
                        from_number=suspect.number,
                        reason=resting.reason and resting.reason.code,
                        rests=resting.rests,
                        until=resting.rests_until and resting.rests_until.isoformat(),
                    )
            case Verdict.TRY_ON:
                await self._numbers.let_go(suspect.number, attempt_id)
            case Verdict.WELL:
                if await self._numbers.forget(suspect.number, suspect.revision):
                    log.info("from_number_well", from_number=suspect.number)
                    await self._batches.wake_resting(suspect.number, self._time.now())
                self._suspects.pop(suspect.number, None)
            case Verdict.UNCHANGED:
                pass


class FromNumberService:
    """An operator's view."""

    def __init__(self, numbers: FromNumbers, batches: Batches, time: Time) -> None:
        self._numbers = numbers
        self._batches = batches
        self._time = time

    async def suspects(self) -> list[FromNumber]:
        """Those under suspicion, by number."""
        return await self._numbers.suspects()

    async def reset(self, number: str, *, user: str) -> FromNumber:
        """Call from `number` again as if nothing had been. Raises NotFound if it is not under suspicion."""
        forgotten = await self._numbers.forget(number)
        # Also if it was forgotten before: whoever did it may have been stopped here.
        await self._batches.wake_resting(number, self._time.now())
        if not forgotten:
            raise NotFound("from_number_not_suspected", from_number=number)
        operator_log.warning("from_number_reset", from_number=number, by=user)
        return FromNumber(number=number)
