"""What batches may cost. What is left is worked out from its parts inside the update, so that no sum can drift."""

from decimal import Decimal

from pymongo import ReturnDocument

from app.domain.batches import Batch
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import optional


class MongoBudgets(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._batches = database.collection("batches")

    @guarded
    async def reserve(self, batch_id: str, attempt_id: str, cost: Decimal) -> bool:
        reservation = f"budget_reservations.{attempt_id}"
        result = await self._batches.update_one(
            {
                "_id": batch_id,
                reservation: {"$exists": False},
                "budget": {"$exists": True},
                "budget_used": {"$exists": True},
                "$expr": {"$gte": [_LEFT, cost]},
            },
            {"$set": {reservation: cost}},
        )
        if result.matched_count:
            return True
        return await self._batches.find_one({"_id": batch_id, reservation: {"$exists": True}}) is not None

    @guarded
    async def settle(self, batch_id: str, attempt_id: str, cost: Decimal) -> None:
        reservation = f"budget_reservations.{attempt_id}"
        used = {"$and": [_exists(f"${reservation}"), _exists("$budget_used")]}
        await self._batches.update_one(
            {"_id": batch_id, "$or": [{"budget": {"$exists": True}}, {reservation: {"$exists": True}}]},
            [
                {
                    "$set": {
                        **_RAISED,
                        # A reservation that is not there was swapped before, or never made because the call is older
                        # than the budget: only the ledger knows which.
                        "budget_used": {"$cond": [used, {"$add": ["$budget_used", cost]}, "$$REMOVE"]},
                    }
                },
                {"$unset": reservation},
            ],
        )

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


def _exists(field: str) -> Document:
    return {"$ne": [{"$type": field}, "missing"]}


_RESERVED = {"$sum": {"$map": {"input": {"$objectToArray": "$budget_reservations"}, "in": "$$this.v"}}}
_LEFT = {"$subtract": ["$budget", {"$add": ["$budget_used", _RESERVED]}]}
_RAISED = {
    "budget_settled": {"$add": [{"$ifNull": ["$budget_settled", 0]}, 1]},
    # Money is back: a sleep for want of it that was decided before does not stick.
    "revision": {"$add": ["$revision", 1]},
}
