"""The turns of batches and of accounts, advanced in their documents. They raise no revision: nobody's work changes."""

from collections.abc import Mapping

from pymongo import UpdateOne

from app.repositories.database import Collection


async def advance_turns(collection: Collection, costs: Mapping[str, float], *, since: float, reached: float) -> None:
    """Add to each turn its cost, counted from `since` at least. All at once; each is right by itself."""
    updates = [
        UpdateOne(
            {"_id": id_},
            [
                {
                    "$set": {
                        "turn.at": {"$add": [{"$max": ["$turn.at", since]}, cost]},
                        "turn.floor": {"$max": ["$turn.floor", reached]},
                    }
                }
            ],
        )
        for id_, cost in costs.items()
    ]
    await collection.bulk_write(updates, ordered=False)
