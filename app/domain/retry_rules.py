"""What a batch wants otherwise for single outcomes: another delay, or fewer repetitions. Pure data."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from app.domain.outcomes import Disposition

DELAY_HOURS_MAX: Final = 24 * 90

RETRYABLE: Final = (
    Disposition.VOICEMAIL,
    Disposition.SILENCE,
    Disposition.NO_ANSWER,
    Disposition.BUSY,
    Disposition.DECLINED,
    Disposition.FAILED,
    Disposition.UNKNOWN,
)
"""Outcomes after which a contact is called again as a matter of course; only for these there are rules."""


class RetryRule(BaseModel):
    """A rule for one outcome; what is None is as for all outcomes.

    `delay_hours` stands in for the batch's `retry_delay_hours`. `max`: so many attempts that ended so are followed by
    another one, over all phones of the contact; the next one that ends so is its last (0: the very first).
    """

    model_config = ConfigDict(frozen=True)

    delay_hours: float | None = Field(default=None, gt=0, le=DELAY_HOURS_MAX, allow_inf_nan=False)
    max: int | None = Field(default=None, ge=0, le=20)
