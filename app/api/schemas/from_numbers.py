"""Bodies of /from-numbers."""

from collections import Counter
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from app.api.schemas.common import Instant, Reason, Reply, reason_of
from app.domain.from_numbers import FromNumber
from app.domain.messages import Language


class Standing(StrEnum):
    GOOD = "good"
    SUSPECT = "suspect"
    RESTING = "resting"
    TRIED = "tried"


class FromNumberReply(Reply):
    from_number: str
    status: Standing = Field(
        description="suspect: some calls ended badly; resting: nothing is called from it; tried: one call at a time "
        "is, until one succeeds."
    )
    reason: Reason | None = Field(description="Why it rests.")
    rests_until: Instant | None
    rests: int = Field(description="Rests in a row, each twice as long as the one before.")
    last_ends: dict[str, int] = Field(description="How its last calls ended, by Retell's reason.")


def from_number_reply(number: FromNumber, now: datetime, language: Language) -> FromNumberReply:
    return FromNumberReply(
        from_number=number.number,
        status=_standing(number, now),
        reason=reason_of(number.reason, language),
        rests_until=number.rests_until,
        rests=number.rests,
        last_ends=dict(Counter(end.reason for end in number.ends)),
    )


def _standing(number: FromNumber, now: datetime) -> Standing:
    if number.is_tried(now):
        return Standing.TRIED
    if number.rests_until is not None:
        return Standing.RESTING
    return Standing.SUSPECT if number.ends else Standing.GOOD
