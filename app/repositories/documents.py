"""Domain models to MongoDB documents and back.

A document has the model's fields, its id as `_id`, and no field for None, so that partial indexes on `$exists` hold.
"""

from collections.abc import Collection
from datetime import time, timedelta
from enum import Enum
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from pymongo import ASCENDING, DESCENDING

from app.domain.access import ApiKey, RefreshToken, User
from app.domain.accounts import Account
from app.domain.batches import Batch
from app.domain.do_not_call import DoNotCallEntry
from app.domain.from_numbers import FromNumber
from app.domain.imports import Import
from app.domain.jobs import Job
from app.domain.persons import OtherJob
from app.domain.privacy import Erasure, ProviderCopy
from app.domain.reading import Place
from app.domain.searching import AgeSort, NameSort, Search, name_words, sort_name
from app.domain.transactions import Transaction
from app.domain.uploads import Upload
from app.domain.webhooks import Delivery, Webhook
from app.domain.workers import Worker
from app.repositories.database import Document

log = structlog.get_logger("repositories")

M = TypeVar("M", bound=BaseModel)

_ID_FIELD: dict[type[BaseModel], str] = {
    Account: "account_id",
    Batch: "batch_id",
    FromNumber: "number",
    DoNotCallEntry: "entry_id",
    Import: "import_id",
    Job: "job_id",
    OtherJob: "job_id",
    Transaction: "transaction_id",
    Upload: "upload_id",
    User: "user_id",
    ApiKey: "key_id",
    RefreshToken: "token_hash",
    Worker: "worker_id",
    Webhook: "webhook_id",
    Delivery: "delivery_id",
    Erasure: "erasure_id",
    ProviderCopy: "call_id",
}


def to_document(model: BaseModel) -> Document:
    """The document of a model that has an id of its own."""
    document: Document = plain(model)
    document["_id"] = document.pop(_ID_FIELD[type(model)])
    return document


def from_document(model: type[M], document: Document) -> M:
    """The model of a document; the document is used up."""
    document[_ID_FIELD[model]] = document.pop("_id")
    return model.model_validate(document)


def readable(model: type[M], document: Document) -> M | None:
    """The model of one document among many; None, and a line in the log, if it cannot be read.

    One document that a newer version wrote, or a hand edited, must not stop what concerns all the others.
    """
    document_id = document["_id"]
    try:
        return from_document(model, document)
    except ValidationError as error:
        fields = [".".join(str(part) for part in problem["loc"]) for problem in error.errors()]
        log.error("document_unreadable", kind=model.__name__, id=document_id, fields=fields)  # noqa: TRY400 - values are private
        return None


def optional(model: type[M], document: Document | None) -> M | None:
    """The model of a document that may not have been found."""
    return None if document is None else from_document(model, document)


def plain(value: Any) -> Any:
    """`value` with every model, enum, set and time of day inside it turned into what BSON can hold.

    Decimals and datetimes stay: the codec of the collections stores them as such.
    """
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_none=True))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(plain(item) for item in value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return value


def any_of(values: Collection[str]) -> Any:
    """What a field must match to be one of `values`: a plain value for one, which an index sorts better by."""
    return next(iter(values)) if len(values) == 1 else {"$in": list(values)}


def parts_behind(after: Place | None, sort: AgeSort = AgeSort.NEWEST) -> list[Document]:
    """What of a list comes behind a place: one query after another, each of which an index answers in order, also where
    thousands were created at one instant."""
    if after is None:
        return [{}]
    behind = "$gt" if sort.ascending else "$lt"
    # As a span: one point would take `created_at` out of the order, and MongoDB sort all of that instant in memory.
    instant = {"$gte": after.at, "$lt": after.at + timedelta(milliseconds=1)}
    return [{"created_at": instant, "_id": {behind: after.id}}, {"created_at": {behind: after.at}}]


def order_of(sort: AgeSort | NameSort, *fields: str) -> list[tuple[str, int]]:
    """How MongoDB sorts by these fields."""
    return [(field, ASCENDING if sort.ascending else DESCENDING) for field in fields]


def found_by(search: Search) -> Document:
    """What a document must match. Each range is of one element: without `$elemMatch` MongoDB uses only half of it."""
    ranges = [{search.field: {"$elemMatch": {"$gte": since, "$lt": until}}} for since, until in search.ranges]
    return ranges[0] if len(ranges) == 1 else {"$or": ranges}


def with_names(changes: dict[str, Any], field: str) -> dict[str, Any]:
    """The changes and, if the name in `field` is one of them, what follows from it."""
    if field not in changes:
        return changes
    return {**changes, "sort_name": sort_name(changes[field]), "name_words": name_words(changes[field])}


def set_or_unset(changes: dict[str, Any]) -> Document:
    """An update that sets every change, and removes the field where the change is None."""
    present = {key: plain(value) for key, value in changes.items() if value is not None}
    absent = {key: "" for key, value in changes.items() if value is None}
    return {operator: fields for operator, fields in (("$set", present), ("$unset", absent)) if fields}
