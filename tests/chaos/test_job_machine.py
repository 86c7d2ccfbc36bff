"""The state machine of jobs under invented histories; `make chaos` plays more and longer ones."""

import asyncio

import pytest

from app.repositories.embedded_mongod import EmbeddedMongod
from tests.chaos.machine import play


@pytest.mark.timeout(400)
async def test_no_history_breaks_an_invariant_and_all_come_to_rest(mongod: EmbeddedMongod) -> None:
    # The same histories in every run, so that a failure is of the change and not of the dice.
    await asyncio.to_thread(play, mongod.uri, histories=20, steps=40, shrink=False)
