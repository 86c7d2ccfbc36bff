"""The one document that all workers' calls to Retell go by. Every time in it is the primary's (`$$NOW`)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from pymongo import ReturnDocument

from app.domain.messages import Message
from app.domain.provider_limits import Hold, ProviderState, Trouble
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import plain

ONLY = {"_id": "retell"}
_MOST_DOUBLINGS = 20


class MongoProviderLimits(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._limits = database.collection("provider_limits")

    @guarded
    async def read(self) -> ProviderState:
        return ProviderState.model_validate(await self._limits.find_one(ONLY, {"_id": False}) or {})

    @guarded
    async def take_starts(self, count: int, spacing: timedelta) -> datetime:
        taken = _milliseconds(count * spacing)
        document = await self._change(
            {"next_start_at": {"$add": [{"$max": ["$next_start_at", "$$NOW"]}, taken]}},
        )
        next_start_at: datetime = document["next_start_at"]
        return next_start_at - timedelta(milliseconds=taken)

    @guarded
    async def hold(
        self, trouble: Trouble, reason: Message, *, wait: timedelta | None, base: timedelta, cap: timedelta
    ) -> tuple[Hold, bool]:
        hold_id = uuid4().hex
        held = {"$gt": ["$hold.until", "$$NOW"]}

        def unless_held(field: str, value: Any) -> Document:
            # Those under way together when Retell went away are one trouble, not a hundred.
            return {"$cond": [held, f"$hold.{field}", value]}

        times = {"$add": [{"$ifNull": ["$hold.times", 0]}, 1]}
        doubled = {"$multiply": [_milliseconds(base), {"$pow": [2, {"$min": ["$$doublings", _MOST_DOUBLINGS]}]}]}
        backoff = {
            "$let": {
                "vars": {"doublings": {"$subtract": [unless_held("times", times), 1]}},
                "in": {"$min": [_milliseconds(cap), doubled]},
            }
        }
        span = _milliseconds(wait) if wait is not None else backoff
        document = await self._change(
            {
                "hold": {
                    "hold_id": unless_held("hold_id", hold_id),
                    "trouble": unless_held("trouble", trouble.value),
                    "reason": unless_held("reason", {"$literal": plain(reason)}),
                    "since": {"$ifNull": ["$hold.since", "$$NOW"]},
                    "until": {"$max": ["$hold.until", {"$add": ["$$NOW", span]}]},
                    "times": unless_held("times", times),
                }
            }
        )
        hold = Hold.model_validate(document["hold"])
        return hold, hold.hold_id == hold_id

    @guarded
    async def end_hold(self, hold_id: str) -> bool:
        result = await self._limits.update_one({**ONLY, "hold.hold_id": hold_id}, {"$unset": {"hold": ""}})
        return result.modified_count == 1

    @guarded
    async def set_max_concurrent(self, maximum: int) -> None:
        await self._change({"max_concurrent": maximum})

    async def _change(self, fields: Document) -> Document:
        document = await self._limits.find_one_and_update(
            ONLY, [{"$set": fields}], upsert=True, return_document=ReturnDocument.AFTER
        )
        return document or {}


def _milliseconds(span: timedelta) -> int:
    """Rounded up: MongoDB's dates have no finer grain."""
    return -int(-span // timedelta(milliseconds=1))
