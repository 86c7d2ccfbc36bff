"""The updates that reserve and charge calls in an account's document: of one call, or of several at once.

That of several does all of them or, if one cannot be done, none. The presence of a reservation is the token by which
each is done once.
"""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from pymongo import UpdateOne

from app.domain.money import Charge, Unit

Key = tuple[str, str]
"""Account and attempt."""


class Reserving(NamedTuple):
    account_id: str
    attempt_id: str
    units: Decimal

    @property
    def key(self) -> Key:
        return self.account_id, self.attempt_id


class Settling(NamedTuple):
    account_id: str
    attempt_id: str
    unit: Unit
    charge: Charge

    @property
    def key(self) -> Key:
        return self.account_id, self.attempt_id


def reservation(moves: Sequence[Reserving]) -> UpdateOne:
    """Of different attempts of one account."""
    units = sum((move.units for move in moves), Decimal(0))
    absent = {f"reservations.{move.attempt_id}": {"$exists": False} for move in moves}
    return UpdateOne(
        {"_id": moves[0].account_id, "funds.free": {"$gte": units}, **absent},
        {
            "$inc": {"funds.free": -units},
            "$set": {f"reservations.{move.attempt_id}": move.units for move in moves},
        },
    )


def settlement(moves: Sequence[Settling]) -> UpdateOne:
    """Of different attempts of one account."""
    reservations = [f"reservations.{move.attempt_id}" for move in moves]
    added: defaultdict[str, list[Any]] = defaultdict(list)
    for move, reserved in zip(moves, reservations, strict=True):
        used = "funds.credits_used" if move.unit is Unit.CREDITS else "funds.minutes_used"
        added["funds.free"].append({"$subtract": [f"${reserved}", move.charge.units]})
        added[used].append(move.charge.units)
        added["funds.total_spent"].append(move.charge.cost)
    return UpdateOne(
        {"_id": moves[0].account_id, **{reserved: {"$exists": True} for reserved in reservations}},
        [
            {"$set": {field: {"$add": [f"${field}", *amounts]} for field, amounts in added.items()}},
            {"$unset": reservations},
        ],
    )
