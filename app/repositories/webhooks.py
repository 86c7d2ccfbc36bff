"""Webhooks of accounts, and what is and was sent to them, in MongoDB."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.errors import BulkWriteError

from app.domain.reading import Place
from app.domain.webhooks import KEPT_TRIES, Delivery, DeliveryStatus, EventType, Try, Webhook
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import from_document, optional, parts_behind, plain, set_or_unset, to_document
from app.repositories.jobs import only_duplicates

_WITHOUT_BODY = {"body": False}


class MongoWebhooks(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._webhooks = database.collection("webhooks")
        self._deliveries = database.collection("webhook_deliveries")

    @guarded
    async def insert(self, webhook: Webhook) -> None:
        await self._webhooks.insert_one(to_document(webhook))

    @guarded
    async def get(self, webhook_id: str) -> Webhook | None:
        return optional(Webhook, await self._webhooks.find_one({"_id": webhook_id}))

    @guarded
    async def of_account(self, account_id: str) -> list[Webhook]:
        cursor = self._webhooks.find({"account_id": account_id}).sort([("created_at", ASCENDING), ("_id", ASCENDING)])
        return [from_document(Webhook, document) async for document in cursor]

    @guarded
    async def update(self, webhook_id: str, changes: dict[str, Any]) -> Webhook | None:
        document = await self._webhooks.find_one_and_update(
            {"_id": webhook_id}, set_or_unset(changes), return_document=ReturnDocument.AFTER
        )
        return optional(Webhook, document)

    @guarded
    async def delete(self, webhook_id: str) -> None:
        # The webhook first: nothing is sent any more, and what a crash leaves of its log expires.
        await self._webhooks.delete_one({"_id": webhook_id})
        await self._deliveries.delete_many({"webhook_id": webhook_id})

    @guarded
    async def wake(self, webhook_ids: Collection[str], at: datetime) -> None:
        await self._webhooks.update_many(
            {"_id": {"$in": list(webhook_ids)}}, {"$min": {"wake_at": at}, "$inc": {"revision": 1}}
        )


class MongoSubscriptions(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._accounts = database.collection("accounts")

    @guarded
    async def subscribe(self, account_id: str, types: Collection[EventType]) -> None:
        await self._accounts.update_one(
            {"_id": account_id},
            {"$addToSet": {"webhook_events": {"$each": plain(sorted(types))}}, "$inc": {"webhook_changes": 1}},
        )

    @guarded
    async def replace(self, account_id: str, types: Collection[EventType], changes: int) -> bool:
        result = await self._accounts.update_one(
            # An account of before there was the field has none.
            {"_id": account_id, "webhook_changes": changes or {"$in": [0, None]}},
            {"$set": {"webhook_events": plain(sorted(types))}},
        )
        return result.matched_count == 1


class MongoDeliveries(Repository):
    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._deliveries = database.collection("webhook_deliveries")

    @guarded
    async def add(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        try:
            await self._deliveries.insert_many([to_document(delivery) for delivery in deliveries], ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise

    @guarded
    async def get(self, delivery_id: str) -> Delivery | None:
        return optional(Delivery, await self._deliveries.find_one({"_id": delivery_id}))

    @guarded
    async def page(
        self, webhook_id: str, *, status: DeliveryStatus | None, limit: int, skip: int, after: Place | None
    ) -> tuple[list[Delivery], int | None]:
        match: Document = {"webhook_id": webhook_id, **({"status": status.value} if status else {})}
        found: list[Delivery] = []
        for part in parts_behind(after):
            cursor = self._deliveries.find(match | part, _WITHOUT_BODY)
            cursor = cursor.sort([("created_at", DESCENDING), ("_id", DESCENDING)]).skip(skip).limit(limit - len(found))
            found += [from_document(Delivery, {**document, "body": ""}) async for document in cursor]
            if len(found) == limit:
                break
        return found, await self._deliveries.count_documents(match) if after is None else None

    @guarded
    async def send_again(self, delivery_id: str, now: datetime) -> Delivery | None:
        document = await self._deliveries.find_one_and_update(
            {"_id": delivery_id},
            {"$set": {"status": DeliveryStatus.PENDING.value, "due_at": now, "tried": 0}},
            return_document=ReturnDocument.AFTER,
        )
        return optional(Delivery, document)


class MongoDeliveryQueue(Repository):
    """What the sender does: webhooks are leased to one worker each, and deliveries are theirs as long."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._webhooks = database.collection("webhooks")
        self._deliveries = database.collection("webhook_deliveries")

    @guarded
    async def take(
        self, now: datetime, limit: int, *, failing: bool, worker_id: str, lease: timedelta
    ) -> list[Webhook]:
        due: Document = {
            "wake_at": {"$lte": now},
            "is_active": True,
            "failing_since": {"$exists": failing},
            "$and": [_passed("lease_until", now), _passed("rest_until", now)],
        }
        cursor = self._webhooks.find(due, {"_id": True}).sort("wake_at", ASCENDING).limit(limit)
        ids = [document["_id"] async for document in cursor]
        taken: list[Webhook] = []
        for webhook_id in ids:
            document = await self._webhooks.find_one_and_update(
                {"_id": webhook_id, **due},
                {"$set": {"lease_until": now + lease, "worker_id": worker_id}},
                return_document=ReturnDocument.AFTER,
            )
            if document is not None:
                taken.append(from_document(Webhook, document))
        return taken

    @guarded
    async def due(self, webhook_id: str, now: datetime, limit: int) -> list[Delivery]:
        match = {"webhook_id": webhook_id, "status": DeliveryStatus.PENDING.value, "due_at": {"$lte": now}}
        cursor = self._deliveries.find(match).sort("due_at", ASCENDING).limit(limit)
        return [from_document(Delivery, document) async for document in cursor]

    @guarded
    async def next_due(self, webhook_id: str) -> datetime | None:
        match = {"webhook_id": webhook_id, "status": DeliveryStatus.PENDING.value}
        document = await self._deliveries.find_one(match, {"due_at": True}, sort=[("due_at", ASCENDING)])
        return None if document is None else document.get("due_at")

    @guarded
    async def record(self, delivery: Delivery, entry: Try, status: DeliveryStatus, *, due_at: datetime | None) -> None:
        update = set_or_unset({"status": status, "due_at": due_at})
        update["$push"] = {"tries": {"$each": [plain(entry)], "$slice": -KEPT_TRIES}}
        update["$inc"] = {"tried": 1}
        match = {"_id": delivery.delivery_id, "status": DeliveryStatus.PENDING.value, "due_at": delivery.due_at}
        recorded = await self._deliveries.update_one(match, update)
        if not recorded.matched_count:
            # Somebody has sent it again by hand meanwhile, and it is due as that says.
            await self._deliveries.update_one({"_id": delivery.delivery_id}, {"$push": update["$push"]})

    @guarded
    async def let_go(self, webhook: Webhook, changes: dict[str, Any], wake_at: datetime | None) -> None:
        mine = {"_id": webhook.webhook_id, "worker_id": webhook.worker_id}
        given_back = {"lease_until": None, "worker_id": None}
        as_known = {**mine, "updated_at": webhook.updated_at}
        for match, update in (
            ({**as_known, "revision": webhook.revision}, {**changes, **given_back, "wake_at": wake_at}),
            (as_known, {**changes, **given_back}),
            # Its operators have changed it: what was learnt is of another address, or of before it was switched on.
            (mine, given_back),
        ):
            if (await self._webhooks.update_one(match, set_or_unset(update))).matched_count:
                return


def _passed(field: str, now: datetime) -> Document:
    return {"$or": [{field: {"$exists": False}}, {field: {"$lte": now}}]}
