"""How jobs in a worker's hands go from state to state: the one door between states, guarded by state and fence.

Who moves a job alone has a write of its own. What many ask for at the same time is one write for all of their jobs,
which MongoDB carries out document by document, and each hears only of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument, UpdateOne

from app.domain.jobs import FINAL, MOVES, Job, JobState
from app.repositories.bulk import write_each
from app.repositories.database import Database, Document, Repository, guarded
from app.repositories.documents import optional, set_or_unset
from app.repositories.timelines import WITHOUT_TIMELINE
from app.repositories.together import Each

_PLACE = {"state": True, "fence": True}
_SIGN: Document = {}
"""Of a job that was let go: the move was made, and its holder has no more to do with it."""


@dataclass(frozen=True, eq=False)
class Move:
    """Of one job, from the state and the fence that `job` shows."""

    job: Job
    to: JobState
    update: Document | list[Document]

    @property
    def match(self) -> Document:
        return {"_id": self.job.job_id, "state": self.job.state.value, "fence": self.job.fence}

    @property
    def write(self) -> UpdateOne:
        return UpdateOne(self.match, self.update)

    @property
    def lets_go(self) -> bool:
        """Whether the job is in nobody's hands afterwards."""
        return self.to is JobState.PENDING or self.to in FINAL

    def is_made(self, document: Document | None) -> bool:
        """Whether `document` shows the job where the move leads to. At one fence there is one holder, and no way back
        to a state: so it was made, if not now, then by an earlier try whose answer was lost."""
        return document is not None and (document["state"], document["fence"]) == (self.to.value, self.job.fence)


class JobMoves(Repository):
    """A part of the queue (repositories/job_queue.py)."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._jobs = database.collection("jobs")
        self._together: Each[Move, Document | None] = Each(self._make)

    async def keep(self, job: Job, to: JobState, now: datetime, changes: dict[str, Any], push: Document) -> Job | None:
        """Move a job that stays in hand; `push` is its event in the timeline, and more.

        None: it is no longer in the state and at the fence that `job` shows.
        """
        return optional(Job, await self._moved(job, to, _update(to, now, changes, push)))

    async def keep_by(self, job: Job, to: JobState, pipeline: list[Document]) -> Job | None:
        """The same by an update of one's own."""
        return optional(Job, await self._moved(job, to, pipeline))

    async def let_go(self, job: Job, to: JobState, now: datetime, changes: dict[str, Any], push: Document) -> bool:
        """Move a job out of its holder's hands; False: as above."""
        return await self._moved(job, to, _update(to, now, changes, push)) is not None

    async def _moved(self, job: Job, to: JobState, update: Document | list[Document]) -> Document | None:
        if to not in MOVES[job.state]:
            raise ValueError(f"a job cannot go from {job.state.value} to {to.value}")
        return await self._together.ask(Move(job, to, update))

    @guarded
    async def _make(self, moves: Sequence[Move]) -> list[Document | Exception | None]:
        """For each move the document after it (no more than a sign, if the job was let go), None, or its error."""
        if len({move.job.job_id for move in moves}) < len(moves) or len(moves) == 1:
            # Of two moves of one job the state afterwards would not tell which of them was made.
            return [await self._make_alone(move) for move in moves]
        written = await write_each(self._jobs, {move: move.write for move in moves})
        after = await self._after(moves, are_all_made=written.matched + len(written.failed) == len(moves))
        return [written.failed.get(move, after[move]) for move in moves]

    async def _make_alone(self, move: Move) -> Document | None:
        if move.lets_go:
            result = await self._jobs.update_one(move.match, move.update)
            return _SIGN if result.matched_count else None
        return await self._jobs.find_one_and_update(
            move.match, move.update, projection=WITHOUT_TIMELINE, return_document=ReturnDocument.AFTER
        )

    async def _after(self, moves: Sequence[Move], *, are_all_made: bool) -> dict[Move, Document | None]:
        kept = await self._read([move for move in moves if not move.lets_go], WITHOUT_TIMELINE)
        if are_all_made:
            # Who was let go may be in other hands already, and says nothing of it.
            return {move: _SIGN if move.lets_go else kept[move] for move in moves}
        # Of one that was let go and taken anew at this very moment it cannot be told: it counts as lost.
        return kept | await self._read([move for move in moves if move.lets_go], _PLACE)

    async def _read(self, moves: Sequence[Move], fields: Document) -> dict[Move, Document | None]:
        """The documents of those moves that were made."""
        if not moves:
            return {}
        cursor = self._jobs.find({"_id": {"$in": [move.job.job_id for move in moves]}}, fields, hint="_id_")
        found = {document["_id"]: document async for document in cursor}
        documents = {move: found.get(move.job.job_id) for move in moves}
        return {move: document if move.is_made(document) else None for move, document in documents.items()}


def _update(to: JobState, now: datetime, changes: dict[str, Any], push: Document) -> Document:
    update = set_or_unset({"state": to, "updated_at": now, **changes})
    update["$push"] = push
    return update
