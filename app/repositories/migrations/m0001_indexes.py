"""Indexes of the time when data had no version: one whose name has another key today, and those that nobody uses."""

from pymongo import ASCENDING, DESCENDING

from app.repositories.migrations.steps import DropIndexes, Migration

MIGRATION = Migration(
    number=1,
    name="indexes",
    what="Drops the first release's index jobs.claim, which knew no zones, and indexes that lists do not use any more.",
    compatible=False,
    before_versions=True,
    steps=[
        DropIndexes(
            [
                (
                    "jobs",
                    "claim",
                    [("state", ASCENDING), ("batch_id", ASCENDING), ("priority", DESCENDING), ("due_at", ASCENDING)],
                ),
                ("jobs", "newest_of_batch", [("batch_id", ASCENDING), ("_id", DESCENDING)]),
                (
                    "jobs",
                    "newest_of_account",
                    [("account_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
                ),
                # Unique, over a field that entries have no more: of each account it would let one entry in.
                ("do_not_call", "phone", [("phone", ASCENDING), ("account_id", ASCENDING)]),
            ]
        )
    ],
)
