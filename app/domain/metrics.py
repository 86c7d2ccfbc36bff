"""What the use cases count and time as it happens, whoever it is that collects it.

None of these raises or waits. What they are given ends as labels of time series, so it must be one of few values:
never a phone, a name, an id of a job, a batch or an attempt, or a text of somebody else's.
"""

from typing import Protocol

from app.domain.jobs import JobState
from app.domain.outcomes import Disposition
from app.domain.privacy import Erased, ErasingStep


class Metrics(Protocol):
    def claimed(self, jobs: int, seconds: float) -> None:
        """A look for work found so many jobs, and took so long."""

    def call_requested(self, waited_seconds: float) -> None:
        """The provider is asked for a call to somebody who might have been called so much earlier."""

    def call_ended(self, disposition: Disposition) -> None:
        """An attempt is settled. Told once, by whoever moved the job on."""

    def provider_answered(self, request: str, seconds: float, problem: str | None) -> None:
        """`request`: a verb of CallProvider; `problem`: the class of ProviderError, None if there was none."""

    def job_rescued(self, state: JobState) -> None:
        """A job was taken over in that state from a worker that died or stopped."""

    def job_let_go(self, reason: str) -> None:
        """Work on a job was broken off; it waits for its lease to end."""

    def webhook_answered(self, problem: str | None, seconds: float) -> None:
        """A webhook was sent something; `problem`: the class of what was wrong with the answer, None if nothing was."""

    def delivery_ended(self, *, delivered: bool) -> None:
        """What was to be told a webhook was delivered, or given up."""

    def reservations_without_jobs(self, count: int) -> None:
        """So many were so twice in a row, and are now given back."""

    def erased(self, what: Erased, count: int) -> None:
        """Told by whoever did it; what is erased twice by two at once may be counted twice."""

    def erasing_failed(self, step: ErasingStep) -> None:
        """A step was broken off, or the provider did not delete a call; it is tried again."""

    def by_age_is_late(self, seconds: float) -> None:
        """By so much, at most, batches are past the time at which they should have been erased; 0: none is."""
