"""Who is the same person, what stands on the list, and what a file of numbers holds. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.admission import RefusalKind, callable_phone, refuse
from app.domain.contacts import person_keys
from app.domain.do_not_call import (
    DoNotCallEntry,
    DoNotCallMatch,
    DoNotCallScope,
    DoNotCallSource,
    entry_id_of,
    matches,
)
from app.domain.do_not_call_import import NumberRow, NumberSummary, read_numbers
from app.domain.errors import SpreadsheetRejected
from app.domain.jobs import JobState, Settlement
from app.domain.money import Charge
from app.domain.opting_out import entries_after
from app.domain.outcomes import Disposition, Effect, Outcome
from app.domain.tables import Cell, Table, filled_rows
from tests.builders import (
    NOW,
    OFFICE,
    make_account,
    make_attempt,
    make_batch,
    make_circumstances,
    make_contact,
    make_job,
    make_settings,
    phone,
)

HOUR = timedelta(hours=1)
NOTHING = Charge(seconds=0, minutes=Decimal(0), units=Decimal(0), cost=Decimal(0))
FOR_GOOD = DoNotCallMatch(until=None, scope=DoNotCallScope.ACCOUNT)


def until(moment: datetime) -> DoNotCallMatch:
    return DoNotCallMatch(until=moment, scope=DoNotCallScope.ACCOUNT)


def entry(key: str = phone(1), account_id: str | None = "acc-1", expires_at: datetime | None = None) -> DoNotCallEntry:
    return DoNotCallEntry(
        entry_id=entry_id_of(account_id, key),
        account_id=account_id,
        key=key,
        source=DoNotCallSource.MANUAL,
        expires_at=expires_at,
        created_at=NOW,
        created_by="test",
    )


@pytest.mark.parametrize("written", ["12.345.678-k", "12345678K", " 012345678-K ", "12 345 678 K"])
def test_one_national_id_however_it_is_written(written: str) -> None:
    assert person_keys(make_contact(1, dni=written)) == ["id:12345678K", phone(1)]


@pytest.mark.parametrize("nobody", [None, "", "S/N", "no tiene", "-", "0", "00000000", "11111111-1", "1234"])
def test_what_only_fills_the_column_makes_no_two_contacts_one_person(nobody: str | None) -> None:
    assert person_keys(make_contact(2, dni=nobody)) == [phone(1), phone(2)]


def test_an_entry_is_one_for_each_list_and_key() -> None:
    ids = {entry_id_of(account, key) for account in (None, "a", "b") for key in (phone(1), phone(2))}
    assert len(ids) == 6
    assert not any("569" in entry_id for entry_id in {entry_id_of(None, phone(1))})


def test_of_two_entries_the_one_that_stands_longer_counts() -> None:
    short, long, forever = entry(expires_at=NOW + HOUR), entry(expires_at=NOW + 2 * HOUR), entry(account_id=None)
    for both in ([short, long], [long, short]):
        assert matches(both, NOW) == {phone(1): until(NOW + 2 * HOUR)}
    for both in ([forever, long], [long, forever]):
        assert matches(both, NOW) == {phone(1): DoNotCallMatch(until=None, scope=DoNotCallScope.GLOBAL)}


def test_an_entry_ends_at_its_expiry() -> None:
    ends = entry(expires_at=NOW)
    assert matches([ends], NOW - timedelta(microseconds=1)) != {}
    assert matches([ends], NOW) == {}


def test_a_listed_phone_is_skipped_and_the_next_one_taken() -> None:
    job = make_job(contact=make_contact(3), retired_phones=[phone(2)])
    assert callable_phone(job, make_circumstances()) == 0
    assert callable_phone(job, make_circumstances(do_not_call={phone(1): FOR_GOOD})) == 2
    assert callable_phone(job, make_circumstances(do_not_call={phone(1): FOR_GOOD, phone(3): FOR_GOOD})) is None


@given(st.lists(st.sampled_from([None, FOR_GOOD, *(until(NOW + n * HOUR) for n in (1, 30, 400))]), min_size=1))
def test_refused_only_if_every_phone_is_listed_and_until_the_first_comes_off(
    found: list[DoNotCallMatch | None],
) -> None:
    found = found[:4]
    listed = {phone(n): match for n, match in enumerate(found, 1) if match is not None}
    job = make_job(state=JobState.LEASED, slot=0, provider_slot=0, contact=make_contact(len(found)))
    refusal = refuse(job, make_batch(), make_account(), make_circumstances(do_not_call=listed), NOW)
    if None in found:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.kind is RefusalKind.ON_DO_NOT_CALL_LIST
    ends = [match.until for match in listed.values() if match.until is not None]
    assert refusal.until == min(ends, default=None)
    assert refusal.is_for_good == (not ends)


def test_an_expiry_outside_the_hours_waits_for_them() -> None:
    batch = make_batch(call_settings=make_settings(hours=OFFICE))
    night = NOW.replace(hour=23)  # 19:00 in Santiago
    refusal = refuse(
        make_job(state=JobState.LEASED, slot=0, provider_slot=0),
        batch,
        make_account(),
        make_circumstances(do_not_call={phone(1): until(night)}),
        NOW,
    )
    assert refusal is not None
    assert refusal.until == datetime.fromisoformat("2026-06-04T13:00+00:00")
    assert refusal.reason.params == {"until": "2026-06-04 09:00", "timezone": "America/Santiago"}


def test_a_person_on_the_list_is_called_on_no_phone() -> None:
    job = make_job(state=JobState.LEASED, slot=0, provider_slot=0, contact=make_contact(2, dni="12.345.678-5"))
    circumstances = make_circumstances(do_not_call={"id:123456785": FOR_GOOD})
    refusal = refuse(job, make_batch(), make_account(), circumstances, NOW)
    assert refusal is not None
    assert refusal.is_for_good


def test_an_attempt_is_judged_by_its_own_phone() -> None:
    """Its request names that phone: that the contact has another one does not help."""
    job = make_job(state=JobState.VERIFYING, slot=0, provider_slot=0, contact=make_contact(2), attempt=make_attempt())
    batch, account = make_batch(), make_account()
    own, other = ({phone(n): FOR_GOOD} for n in (1, 2))
    assert refuse(job, batch, account, make_circumstances(do_not_call=own), NOW) is not None
    assert refuse(job, batch, account, make_circumstances(do_not_call=other), NOW) is None


def settled(disposition: Disposition, effect: Effect) -> list[str]:
    """The keys that an attempt on the contact's first phone puts on the list."""
    job = make_job(contact=make_contact(2, dni="12.345.678-5"), attempt=make_attempt())
    outcome = Outcome(disposition=disposition, effect=effect, counted=True)
    settlement = Settlement(outcome=outcome, charge=NOTHING, decided_at=NOW)
    found = entries_after(job, settlement)
    assert entries_after(job, settlement) == found
    return [one.key for one in found]


def test_who_opts_out_in_a_call_is_listed_with_every_number() -> None:
    assert settled(Disposition.OPTED_OUT, Effect.FINISH) == ["id:123456785", phone(1), phone(2)]


def test_a_number_marked_at_retell_is_listed_alone() -> None:
    assert settled(Disposition.OPTED_OUT, Effect.RETIRE_PHONE) == [phone(1)]


@pytest.mark.parametrize("disposition", sorted(set(Disposition) - {Disposition.OPTED_OUT}))
def test_no_other_end_of_a_call_lists_anybody(disposition: Disposition) -> None:
    assert settled(disposition, Effect.FINISH) == []


def table(*rows: tuple[Cell, ...]) -> Table:
    return Table("Hoja1", list(filled_rows(rows)))


def read(*rows: tuple[Cell, ...]) -> list[NumberRow]:
    return list(read_numbers(table(*rows), country="CL"))


@pytest.mark.parametrize("header", [(), (("Abonado inscripto",),), (("telefono",),), (("Nº",),)])
def test_the_only_column_holds_the_numbers_whatever_heads_it(header: tuple[tuple[Cell, ...], ...]) -> None:
    found = read(*header, ("912345678",), (987654321,), ("912345678",))
    assert [row.phones for row in found] == [["+56912345678"], ["+56987654321"], ["+56912345678"]]
    assert not any(row.issues for row in found)


def test_every_telephone_column_is_read_and_what_is_no_number_is_named() -> None:
    found = read(
        ("nombre", "telefono 1", "telefono 2"),
        ("Ana", "912345678", "987654321"),
        ("Luis", "12", "abc"),
        ("Eva", "922222222", "5.69E+10"),
    )
    assert [row.phones for row in found] == [["+56912345678", "+56987654321"], [], ["+56922222222"]]
    assert [row.row_number for row in found if row.issues] == [3, 4]
    summary = NumberSummary()
    for row in found:
        summary.count(row)
    assert (summary.total_rows, summary.invalid_rows) == (3, 2)
    assert [row.row_number for row in summary.invalid] == [3, 4]


def test_a_file_without_numbers_is_no_list() -> None:
    with pytest.raises(SpreadsheetRejected):
        read(("nombre", "monto"), ("Ana", "5000"))
