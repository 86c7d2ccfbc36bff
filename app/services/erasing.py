"""Use case: erase one person of an account.

    hidden entry on the do-not-call list, so that nobody calls them from now on → lists and series, so that nobody makes
    jobs of them → jobs: cancelled if they wait, asked to end if in a call, erased once they are final → what was sent
    about them → again, until nothing is found → the numbers in the erasure itself

Each look does all of it, so a crash anywhere is made good by the next look, of whichever process. The calls' ids are
noted for deleting at the provider before the job that names them is erased.
"""

from collections.abc import Sequence
from typing import NamedTuple

import structlog

from app.domain.accounts import Account
from app.domain.contacts import ID_PREFIX, id_key
from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource, entry_id_of
from app.domain.errors import Conflict, FieldError, InvalidInput, NotFound
from app.domain.jobs import JobState
from app.domain.messages import Message
from app.domain.metrics import Metrics
from app.domain.phone_numbers import normalise_phone
from app.domain.ports import Accounts, Batches, DoNotCallList, Jobs, Time
from app.domain.privacy import (
    LEASE,
    LOOK_AGAIN,
    MOST_KEYS,
    QUIET,
    Erased,
    Erasure,
    ErasureStatus,
    Found,
    Sought,
    copies_of,
    rest_until,
    sought_by,
)
from app.domain.privacy_ports import Erasures, JobOfPerson, PersonalData, ProviderCopies
from app.domain.untold import after_end
from app.services.ids import new_id

log = structlog.get_logger("privacy")

_WIDENINGS = 5
"""From numbers to ids to other numbers: so many steps at most."""


class Asked(NamedTuple):
    """Of whom, as somebody wrote it; at least one of the two."""

    account_id: str
    phone: str | None
    identifier: str | None


class Preview(NamedTuple):
    """What would be erased, and entries of everybody's list that would stay readable."""

    found: Found
    everybodys: int


class PersonFinder:
    """Who is meant by a number or an id, and by what else they are known."""

    def __init__(self, accounts: Accounts, data: PersonalData) -> None:
        self._accounts = accounts
        self._data = data

    async def find(self, asked: Asked) -> tuple[Account, Sought, Sought]:
        """The account, who was asked for, and the same with everything they are known by.

        Raises NotFound, InvalidInput, or Conflict if that would be several persons.
        """
        account = await self._accounts.get(asked.account_id)
        if account is None:
            raise NotFound("account_not_found", account_id=asked.account_id)
        given = _sought(asked, account.country)
        wide = await self.widened(account.account_id, given)
        if len(wide.keys) > MOST_KEYS:
            raise Conflict("person_too_wide", limit=MOST_KEYS)
        return account, given, wide

    async def widened(self, account_id: str, sought: Sought) -> Sought:
        for _ in range(_WIDENINGS):
            keys = {key for keys in await self._data.keys_of(account_id, sought) for key in keys}
            wider = sought.known_by(keys)
            if wider == sought or len(sought.keys) > MOST_KEYS:
                break
            sought = wider
        return sought


class Erasing:
    def __init__(
        self,
        finder: PersonFinder,
        accounts: Accounts,
        batches: Batches,
        jobs: Jobs,
        do_not_call: DoNotCallList,
        data: PersonalData,
        erasures: Erasures,
        copies: ProviderCopies,
        time: Time,
        metrics: Metrics,
    ) -> None:
        self._finder = finder
        self._accounts = accounts
        self._batches = batches
        self._jobs = jobs
        self._do_not_call = do_not_call
        self._data = data
        self._erasures = erasures
        self._copies = copies
        self._time = time
        self._metrics = metrics

    async def preview(self, asked: Asked, *, everybodys_list: bool) -> Preview:
        """Changes nothing. Raises as PersonFinder.find."""
        account, given, sought = await self._finder.find(asked)
        return await self._preview(account.account_id, given, sought, everybodys_list=everybodys_list)

    async def begin(self, asked: Asked, *, never_call_again: bool, everybodys_list: bool, user: str) -> Erasure:
        """From here on nobody calls the person. While one of the same person works, it is that one. The first look is
        over when this answers. Raises as PersonFinder.find."""
        account, given, sought = await self._finder.find(asked)
        digest = await self._do_not_call.hidden(f"{account.account_id} {' '.join(given.keys)}")
        before = await self._erasures.working(account.account_id, digest)
        now = self._time.now()
        erasure = before or Erasure(
            erasure_id=new_id("era"),
            account_id=account.account_id,
            digest=digest,
            ids=sorted(sought.ids),
            phones=sorted(sought.phones),
            by_phone=sorted(sought.by_phone),
            never_call_again=never_call_again,
            everybodys_list=everybodys_list,
            found=(await self._preview(account.account_id, given, sought, everybodys_list=everybodys_list)).found,
            requested_by=user,
            requested_at=now,
            finds_at=now,
            due_at=now,
            lease_until=now + LEASE,
        )
        if before is None and not await self._erasures.insert(erasure):
            return await self.begin(  # another request was quicker
                asked, never_call_again=never_call_again, everybodys_list=everybodys_list, user=user
            )
        if before is not None:
            if never_call_again:
                await self._erasures.never_again(before.erasure_id)
                await self._forbid(before.model_copy(update={"never_call_again": True}), account, sought)
            return await self.get(before.erasure_id)
        log.info("erasure_begun", erasure_id=erasure.erasure_id, account_id=account.account_id, user=user)
        await self.look(erasure)
        return await self.get(erasure.erasure_id)

    async def get(self, erasure_id: str) -> Erasure:
        """Raises NotFound."""
        erasure = await self._erasures.get(erasure_id)
        if erasure is None:
            raise NotFound("erasure_not_found", erasure_id=erasure_id)
        return erasure

    async def resume(self) -> int:
        """One look at one erasure that is due; how many that were."""
        now = self._time.now()
        erasure = await self._erasures.take(now, now + LEASE)
        if erasure is None:
            return 0
        await self.look(erasure)
        return 1

    async def look(self, erasure: Erasure) -> Erasure | None:
        """Everything that can be done now; the erasure as it is then, None if it is in other hands."""
        now = self._time.now()
        account = await self._accounts.get(erasure.account_id)
        if account is None:
            raise LookupError(f"erasure {erasure.erasure_id} has no account")
        sought = await self._finder.widened(erasure.account_id, erasure.sought)
        known = {"ids": sorted(sought.ids), "phones": sorted(sought.phones), "lease_until": now + LEASE}
        held = await self._erasures.advance(erasure, known)
        if held is None:
            return None
        await self._forbid(held, account, sought)
        found = self._counted(Erased.UPLOAD_ROWS, await self._data.erase_upload_rows(held.account_id, sought))
        jobs = await self._data.jobs_of(held.account_id, sought)
        spoken_of = await self._data.test_calls_about(held.account_id, sought)
        # Those that only speak of the person are found by the names that are erased after them.
        done = [await self._erase(held, account, job) for job in spoken_of]
        names_wait = not all(done)
        done += [await self._erase(held, account, job, only_stop=names_wait) for job in jobs]
        found, in_hand = found + self._counted(Erased.JOBS, done.count(True)), done.count(False)
        if not names_wait:
            found += self._counted(Erased.CONTACTS, await self._data.erase_contacts(held.account_id, sought))
        held = await self._erasures.advance(held, {"lease_until": now + LEASE}) or held
        found += self._counted(Erased.DELIVERIES, await self._data.erase_deliveries(held.job_ids))
        hidden = {key: await self._do_not_call.hidden(key) for key in sought.keys}
        batch_ids = {job.batch_id for job in jobs} | {job_id.rpartition("-")[0] for job_id in held.job_ids}
        await self._data.erase_mentions(batch_ids, hidden)
        return await self._note(held, found, in_hand)

    async def _note(self, erasure: Erasure, found: int, in_hand: int) -> Erasure | None:
        """How far it is; and the end of it, if nothing was found for long enough that nobody remembers."""
        now = self._time.now()
        finds_at = now if found or erasure.finds_at is None else erasure.finds_at
        left = in_hand + await self._data.imports_begun(erasure.account_id, finds_at)
        if left or found or now < finds_at + QUIET:
            due_at = now + LOOK_AGAIN if left or found else max(now + LOOK_AGAIN, finds_at + QUIET)
            waits = {"finds_at": finds_at, "left": left, "due_at": due_at, "lease_until": None}
            return await self._erasures.advance(erasure, waits)
        over = {"status": ErasureStatus.COMPLETED, "left": 0, "finished_at": now, "due_at": None, "lease_until": None}
        forgotten = {"ids": None, "phones": None, "by_phone": None, "finds_at": None}
        completed = await self._erasures.advance(erasure, over | forgotten)
        if completed is not None:
            self._counted(Erased.PERSONS, 1)
            log.info("erasure_completed", erasure_id=erasure.erasure_id, account_id=erasure.account_id)
        return completed

    def _counted(self, what: Erased, count: int) -> int:
        self._metrics.erased(what, count)
        return count

    async def _forbid(self, erasure: Erasure, account: Account, sought: Sought) -> None:
        """Before anything else: what is erased no longer says whom it is too early to call."""
        last = erasure.finds_at or erasure.requested_at
        until = None if erasure.never_call_again else rest_until(last, account.person_caps)
        hidden = [await self._do_not_call.hidden(key) for key in sought.keys]
        await self._do_not_call.add(
            [
                DoNotCallEntry(
                    entry_id=entry_id_of(erasure.account_id, key),
                    account_id=erasure.account_id,
                    key=key,
                    source=DoNotCallSource.ERASURE,
                    expires_at=until,
                    created_at=erasure.requested_at,
                    created_by=erasure.requested_by,
                )
                for key in hidden
            ]
        )
        await self._do_not_call.hide(_lists(erasure.account_id, everybodys=erasure.everybodys_list), sought.keys)

    async def _erase(self, erasure: Erasure, account: Account, job: JobOfPerson, *, only_stop: bool = False) -> bool:
        """False: it is looked at again, for somebody works on it, or it is only not to be called any more for now."""
        now = self._time.now()
        if not job.state.is_final:
            reason = Message(code="person_erased")
            untold = after_end(job.job_id, JobState.CANCELLED, reason, account.webhook_events, now)
            cancelled = await self._jobs.cancel(job.job_id, reason, now, by=erasure.requested_by, untold=untold)
            await self._batches.wake(job.batch_id, now)
            if cancelled is not None and not cancelled.state.is_final:
                return False
        if only_stop:
            return False
        await self._erasures.note_job(erasure, job.job_id)
        calls = await self._data.calls_of(job.job_id)
        await self._copies.add(copies_of(calls, erasure.account_id, now, erasure.erasure_id))
        return await self._data.erase_job(job.job_id, now)

    async def _preview(self, account_id: str, given: Sought, sought: Sought, *, everybodys_list: bool) -> Preview:
        found = await self._data.count(account_id, sought)
        lists = _lists(account_id, everybodys=everybodys_list)
        listed = await self._do_not_call.count(lists, sought.keys)
        everybodys = 0 if everybodys_list else await self._do_not_call.count([None], sought.keys)
        others = {
            "do_not_call": listed,
            "other_phones": len(sought.phones - given.phones),
            "other_ids": len(sought.ids - given.ids),
        }
        return Preview(found.model_copy(update=others), everybodys)


def _lists(account_id: str, *, everybodys: bool) -> Sequence[str | None]:
    return [account_id, None] if everybodys else [account_id]


def _sought(asked: Asked, country: str | None) -> Sought:
    errors: list[FieldError] = []
    phone, national_id = None, None
    if asked.phone is None and asked.identifier is None:
        errors.append(FieldError.of(("phone",), "person_not_named"))
    if asked.phone is not None:
        number = normalise_phone(asked.phone, country)
        phone = number.e164
        if phone is None:
            errors.append(FieldError.of(("phone",), number.error or "phone_not_a_number", value=asked.phone[:40]))
    if asked.identifier is not None:
        national_id = id_key(asked.identifier.removeprefix(ID_PREFIX))
        if national_id is None:
            errors.append(FieldError.of(("identifier",), "identifier_of_nobody"))
    if errors:
        raise InvalidInput(errors)
    return sought_by(phone, national_id)
