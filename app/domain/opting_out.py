"""Who may not be called any more because of how an attempt ended. Pure."""

from app.domain.do_not_call import DoNotCallEntry, DoNotCallSource, entry_id_of
from app.domain.jobs import Job, Settlement
from app.domain.messages import Message
from app.domain.outcomes import Disposition, Effect

BY_THE_CALL = "call"


def entries_after(job: Job, settlement: Settlement) -> list[DoNotCallEntry]:
    """The entries that `settlement` asks for, the same however often it is asked.

    Somebody who asked for it in a call is a person that opted out: all numbers and the national id of the contact are
    listed for the account. A number that Retell refuses as marked tells nothing of the contact's others.
    """
    outcome, attempt = settlement.outcome, job.attempt
    if outcome.disposition is not Disposition.OPTED_OUT or attempt is None:
        return []
    in_call = outcome.effect is Effect.FINISH
    code = "asked_in_a_call" if in_call else "marked_at_retell"
    return [
        DoNotCallEntry(
            entry_id=entry_id_of(job.account_id, key),
            account_id=job.account_id,
            key=key,
            reason=Message(code=code, params={"job_id": job.job_id}),
            source=DoNotCallSource.CALL,
            created_at=settlement.decided_at,
            created_by=BY_THE_CALL,
        )
        for key in (job.person_keys if in_call else [attempt.phone])
    ]
