"""What batches may cost. What is left is worked out from its parts inside the update, so that no sum can drift."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from pymongo import ReturnDocument, UpdateOne

from app.domain.batches import Batch
from app.repositories.bulk import write_each
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import optional
from app.repositories.together import Each


class _Move(NamedTuple):
    batch_id: str
    attempt_id: str
    cost: Decimal

    @property
    def key(self) -> tuple[str, str]:
        return self.batch_id, self.attempt_id


class MongoBudgets(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._batches = database.collection("batches")
        self._reserves: Each[_Move, bool] = Each(self._reserve)
        self._settles: Each[_Move, None] = Each(self._settle)

    async def reserve(self, batch_id: str, attempt_id: str, cost: Decimal) -> bool:
        return await self._reserves.ask(_Move(batch_id, attempt_id, cost))

    @guarded
    async def _reserve(self, moves: Sequence[_Move]) -> list[bool | Exception]:
        updates = {move.key: _reservation(move) for move in moves}
        written = await write_each(self._batches, updates)
        if written.matched == len(updates):
            return [True] * len(moves)
        of_batches = {"_id": {"$in": list({move.batch_id for move in moves})}}
        cursor = self._batches.find(of_batches, {"budget_reservations": True})
        there = {document["_id"]: document.get("budget_reservations", {}) async for document in cursor}
        return [written.failed.get(move.key) or move.attempt_id in there.get(move.batch_id, {}) for move in moves]

    async def settle(self, batch_id: str, attempt_id: str, cost: Decimal) -> None:
        await self._settles.ask(_Move(batch_id, attempt_id, cost))

    @guarded
    async def _settle(self, moves: Sequence[_Move]) -> list[Exception | None]:
        written = await write_each(self._batches, {move.key: _settlement(move) for move in moves})
        return [written.failed.get(move.key) for move in moves]

    @guarded
    async def release(self, batch_id: str, attempt_id: str) -> bool:
        reservation = f"budget_reservations.{attempt_id}"
        result = await self._batches.update_one(
            {"_id": batch_id, reservation: {"$exists": True}}, [{"$set": _RAISED}, {"$unset": reservation}]
        )
        return result.modified_count == 1

    @guarded
    async def count(self, batch: Batch, used: Decimal) -> Batch | None:
        document = await self._batches.find_one_and_update(
            {
                "_id": batch.batch_id,
                "budget_used": {"$exists": False},
                "budget_settled": batch.budget_settled or {"$in": [0, None]},
            },
            {"$set": {"budget_used": used}},
            return_document=ReturnDocument.AFTER,
        )
        return optional(Batch, document)

    @guarded
    async def reserved(self) -> dict[tuple[str, str], list[str]]:
        fields = {"account_id": True, "budget_reservations": True}
        cursor = self._batches.find({"budget": {"$exists": True}, "budget_reservations": {"$gt": {}}}, fields)
        return {
            (document["account_id"], document["_id"]): list(document["budget_reservations"])
            async for document in cursor
        }


def _reservation(move: _Move) -> UpdateOne:
    reservation = f"budget_reservations.{move.attempt_id}"
    return UpdateOne(
        {
            "_id": move.batch_id,
            reservation: {"$exists": False},
            "budget": {"$exists": True},
            "budget_used": {"$exists": True},
            "$expr": {"$gte": [_LEFT, move.cost]},
        },
        {"$set": {reservation: move.cost}},
    )


def _settlement(move: _Move) -> UpdateOne:
    reservation = f"budget_reservations.{move.attempt_id}"
    used = {"$and": [_exists(f"${reservation}"), _exists("$budget_used")]}
    return UpdateOne(
        {"_id": move.batch_id, "$or": [{"budget": {"$exists": True}}, {reservation: {"$exists": True}}]},
        [
            {
                "$set": {
                    **_RAISED,
                    # A reservation that is not there was swapped before, or never made because the call is older
                    # than the budget: only the ledger knows which.
                    "budget_used": {"$cond": [used, {"$add": ["$budget_used", move.cost]}, "$$REMOVE"]},
                }
            },
            {"$unset": reservation},
        ],
    )


def _exists(field: str) -> Document:
    return {"$ne": [{"$type": field}, "missing"]}


_RESERVED = {"$sum": {"$map": {"input": {"$objectToArray": "$budget_reservations"}, "in": "$$this.v"}}}
_LEFT = {"$subtract": ["$budget", {"$add": ["$budget_used", _RESERVED]}]}
_RAISED = {
    "budget_settled": {"$add": [{"$ifNull": ["$budget_settled", 0]}, 1]},
    # Money is back: a sleep for want of it that was decided before does not stick.
    "revision": {"$add": ["$revision", 1]},
}
