"""What many want of a collection, in one round trip, and what became of each."""

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from bson.errors import BSONError
from pydantic import BaseModel, ValidationError
from pymongo import InsertOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

from app.domain.errors import DatabaseUnavailable
from app.repositories.database import AWAY_CODES, Collection, Document
from app.repositories.documents import any_of, from_document

DUPLICATE_KEY = 11000

_UNSENDABLE = (BSONError, ValueError, OverflowError)
"""What the driver says of a value that BSON cannot hold."""
_REFUSED_UNREAD = frozenset({15, 10334})
"""What the server says of a whole message, for one value in it: nested too deeply, too large."""

M = TypeVar("M", bound=BaseModel)
N = TypeVar("N")


class Written(NamedTuple, Generic[N]):
    """What became of writes that were done together."""

    matched: int
    failed: dict[N, Exception]
    """What each that failed would have raised by itself, by its name."""


async def write_each(
    collection: Collection, writes: Mapping[N, InsertOne[Document] | UpdateOne | UpdateMany]
) -> Written[N]:
    """Do all of these, in no order: one that fails stops no other. Raises what is wrong with all of them.

    Each must be safe to repeat.
    """
    try:
        result = await collection.bulk_write(list(writes.values()), ordered=False)
    except BulkWriteError as error:
        if error.details.get("writeConcernErrors"):
            raise
        names = list(writes)
        failed = {names[problem["index"]]: _error(problem) for problem in error.details["writeErrors"]}
        return Written(error.details["nMatched"], failed)
    except (*_UNSENDABLE, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code not in _REFUSED_UNREAD:
            raise
        return await _one_by_one(collection, writes, error)
    return Written(result.matched_count, {})


async def _one_by_one(
    collection: Collection, writes: Mapping[N, InsertOne[Document] | UpdateOne | UpdateMany], error: Exception
) -> Written[N]:
    """One that cannot be written at all has kept the others from being sent: whose it is, is seen by each alone."""
    if len(writes) == 1:
        return Written(0, dict.fromkeys(writes, error))
    each = [await write_each(collection, {name: write}) for name, write in writes.items()]
    failed = {name: problem for one in each for name, problem in one.failed.items()}
    return Written(sum(one.matched for one in each), failed)


async def get_each(model: type[M], collection: Collection, ids: Sequence[str]) -> list[M | Exception | None]:
    """The models of these ids, in their order: None where there is no document, an error where it cannot be read."""
    found: dict[str, M | Exception] = {}
    async for document in collection.find({"_id": any_of(set(ids))}):
        document_id = document["_id"]
        try:
            found[document_id] = from_document(model, document)
        except ValidationError as error:
            found[document_id] = error
    return [found.get(document_id) for document_id in ids]


def _error(problem: Document) -> Exception:
    code: int = problem["code"]
    if code in AWAY_CODES:
        return DatabaseUnavailable()
    # Without the details: they repeat what was to be written.
    return (DuplicateKeyError if code == DUPLICATE_KEY else WriteError)(problem["errmsg"], code)
