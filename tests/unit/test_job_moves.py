"""The table of a job's moves: nothing is stuck, nothing final moves by itself, nothing that may have rung goes back."""

import ast
import inspect
import textwrap

import pytest

from app.domain import jobs
from app.domain.jobs import FINAL, IN_FLIGHT, MOVES, OPERATOR_PRIORITY, PRIORITIES, JobState

CANCELLED, COMPLETED, FAILED = JobState.CANCELLED, JobState.COMPLETED, JobState.FAILED
DIALING, IN_CALL, LEASED, PENDING = JobState.DIALING, JobState.IN_CALL, JobState.LEASED, JobState.PENDING
SETTLING, UNCERTAIN, VERIFYING = JobState.SETTLING, JobState.UNCERTAIN, JobState.VERIFYING


def reachable(start: JobState) -> set[JobState]:
    """Every state that some moves lead to."""
    seen: set[JobState] = set()
    ahead = set(MOVES[start])
    while ahead:
        state = ahead.pop()
        seen.add(state)
        ahead |= MOVES[state] - seen
    return seen


def test_every_state_stands_in_the_table() -> None:
    assert set(MOVES) == set(JobState)


def test_every_state_is_pending_in_flight_or_final() -> None:
    assert {PENDING} | IN_FLIGHT | FINAL == set(JobState)
    assert not IN_FLIGHT & FINAL
    for state in JobState:
        assert state.is_final == (state in FINAL)


@pytest.mark.parametrize("state", sorted(set(JobState) - FINAL))
def test_every_state_that_is_not_final_has_a_way_to_each_end(state: JobState) -> None:
    assert MOVES[state]
    assert reachable(state) >= FINAL


def test_no_state_leads_to_itself() -> None:
    assert not [state for state in JobState if state in MOVES[state]]


def test_a_reached_contact_is_never_called_again() -> None:
    assert MOVES[COMPLETED] == frozenset()


@pytest.mark.parametrize("state", [FAILED, CANCELLED])
def test_an_operators_retry_is_the_only_way_out_of_another_end(state: JobState) -> None:
    assert MOVES[state] == {PENDING}


def test_nothing_is_dialed_that_was_not_leased_and_intended() -> None:
    assert {state for state in JobState if LEASED in MOVES[state]} == {PENDING}
    assert {state for state in JobState if DIALING in MOVES[state]} == {LEASED}
    assert MOVES[PENDING].isdisjoint({DIALING, IN_CALL, VERIFYING, SETTLING, UNCERTAIN, COMPLETED})


def test_what_may_have_rung_goes_back_only_by_its_living_holder_or_by_being_settled() -> None:
    """`dialing` goes back by the holder that knows that nothing was sent; adoption makes it `verifying`, which cannot.

    After an operator's retry, a job begins a new attempt.
    """
    assert {state for state in JobState if PENDING in MOVES[state]} == {LEASED, DIALING, SETTLING, FAILED, CANCELLED}


@pytest.mark.parametrize("state", [DIALING, VERIFYING, IN_CALL, UNCERTAIN])
def test_an_attempt_that_may_have_rung_ends_only_by_being_settled(state: JobState) -> None:
    assert MOVES[state].isdisjoint(FINAL)
    assert SETTLING in MOVES[state]


def test_a_settled_attempt_is_not_taken_up_again() -> None:
    assert MOVES[SETTLING] == {PENDING, *FINAL}


def test_each_state_says_what_it_means_and_who_moves_it_out() -> None:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(JobState))).body
    assert isinstance(definition, ast.ClassDef)
    documented = {
        statement.targets[0].id
        for statement, following in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
    }
    assert documented == {state.name for state in JobState}


def test_priorities_are_few_enough_for_the_claims_index_to_skip_between() -> None:
    assert list(PRIORITIES) == sorted(PRIORITIES, reverse=True)
    assert len(PRIORITIES) <= 10
    assert PRIORITIES[0] == OPERATOR_PRIORITY
    assert jobs.Job.model_fields["priority"].default in PRIORITIES
