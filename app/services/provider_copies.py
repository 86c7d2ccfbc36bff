"""Use case: have the provider delete the calls that are erased here. Without its answer it is asked again, for ever.

That it does not know a call is an answer only under a key of the workspace that the call was made in: the same key, or
one that has deleted a call made with it.
"""

from datetime import timedelta

import structlog

from app.domain.metrics import Metrics
from app.domain.ports import CallProvider, Time
from app.domain.privacy import Erased, ErasingStep, wait_after_failing
from app.domain.privacy_ports import ProviderCopies
from app.domain.provider_errors import ProviderError

log = structlog.get_logger("privacy")

A_ROUND = 10
"""Requests one after another, in no hurry: calls come first."""
ELSEWHERE = timedelta(hours=6)
"""Until somebody asks again for a call that may lie in another workspace."""


class DeletingCopies:
    def __init__(self, copies: ProviderCopies, provider: CallProvider, time: Time, metrics: Metrics) -> None:
        self._copies = copies
        self._provider = provider
        self._time = time
        self._metrics = metrics
        self._ours = {None, provider.key_mark}
        """Marks of keys whose calls ours would find: if one is unknown, nothing is left of it. Of calls that have none
        one has to believe it."""

    async def round(self) -> int:
        """How many are deleted. Raises DatabaseUnavailable."""
        deleted = 0
        for copy in await self._copies.due(self._time.now(), A_ROUND):
            try:
                was_there = await self._provider.delete(copy.call_id)
            except ProviderError as error:
                due_at = self._time.now() + wait_after_failing(copy.tries)
                log.warning(
                    "call_not_deleted_at_provider", call_id=copy.call_id, tries=copy.tries + 1, detail=error.detail
                )
                self._metrics.erasing_failed(ErasingStep.PROVIDER)
                await self._copies.later(copy, due_at)
                break  # whoever does not delete one now does not delete the next either
            if was_there:
                self._ours.add(copy.key_mark)
            elif copy.key_mark not in self._ours:
                log.warning("call_unknown_to_provider", call_id=copy.call_id, made_with_another_key=True)
                await self._copies.elsewhere(copy, self._time.now() + ELSEWHERE)
                continue
            await self._copies.done(copy.call_id)
            self._metrics.erased(Erased.PROVIDER_COPIES, 1)
            deleted += 1
        if deleted:
            log.info("calls_deleted_at_provider", count=deleted)
        return deleted
