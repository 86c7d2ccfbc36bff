"""What becomes of a webhook: a hint in the job of its call, and no more.

It never settles anything. Whoever holds the job takes the hint and asks Retell; so a webhook that is forged, late,
doubled or lost changes when we look, and not what we find.
"""

import structlog

from app.domain.call_events import CallEvent, CallEventKind
from app.domain.errors import Unauthenticated
from app.domain.ports import CallEventReader, CallHints, Time

log = structlog.get_logger("api")


class CallEvents:
    def __init__(self, reader: CallEventReader, hints: CallHints, time: Time) -> None:
        self._reader = reader
        self._hints = hints
        self._time = time

    async def receive(self, body: bytes, signature: str) -> None:
        """Note what a webhook says. What concerns no job of ours is only logged: sending it again would not help.

        Raises Unavailable, Unauthenticated or InvalidInput.
        """
        try:
            event = self._reader.read(body, signature, self._time.now())
        except Unauthenticated as error:
            # With a wrong RETELL_WEBHOOK_KEY this is all of them, and the only sign of it but slowness.
            log.warning("webhook_refused", reason=error.code)
            raise
        if event is None:
            return
        log.info("webhook", kind=event.kind.value, call_id=event.call_id, found=await self._note(event))

    async def _note(self, event: CallEvent) -> str:
        """What it was good for."""
        if event.job_id is None or event.attempt_id is None:
            return "no_call_of_ours"
        # That a call goes on is no reason to ask for it. That there is one is, if nobody knew it yet.
        began = event.kind is CallEventKind.CALL_STARTED
        if await self._hints.hear(event.job_id, event.attempt_id, event.call_id, unless_placed=began):
            return "attempt"
        if began:
            return "nothing_new"
        if event.report is not None and await self._hints.add_details(event.job_id, event.report):
            return "call_that_is_over"
        return "no_such_attempt"
