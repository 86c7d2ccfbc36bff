"""Of every field of a job and of what is told about it somebody has decided whether it stays when a person goes."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.api.schemas.jobs import AttemptReply, JobDetailReply
from app.domain.calls import CallReport
from app.domain.contacts import id_key
from app.domain.jobs import Job, JobState
from app.domain.privacy import sought_by
from app.repositories import personal_data, scrubbing
from app.repositories.documents import from_document, to_document
from tests.builders import NOW, make_contact, make_job, make_record, make_report

OF_A_PERSON = {"contact", "person_keys", "name_words", "retired_phones", "history", "reason", "report"}
"""Changed, not dropped."""
DROPPED = {"speaks_of"}
WHILE_IN_HAND = {
    *("slot", "provider_slot", "worker_id", "lease_until", "attempt_id", "attempt", "heard_call_ids", "heard_at"),
    "settlement",
}
"""A final job has none."""
REPORT_OF_A_PERSON = {"analysis", "transcript", "recording_url", "public_log_url", "collected_variables"}
TOLD_OF_A_PERSON = {"contact", "payload", "nombre", "rut", "to_number", "call_result", "history"}
ATTEMPT_OF_A_PERSON = {"phone"}


def test_every_field_of_a_job_is_decided_on() -> None:
    fields = {*Job.model_fields, *Job.model_computed_fields} - {"job_id"}
    assert fields == (set(scrubbing._JOB) - {"_id", "untold_at", "untold_by"}) | OF_A_PERSON | DROPPED | WHILE_IN_HAND
    assert set(CallReport.model_fields) == set(scrubbing._REPORT) | REPORT_OF_A_PERSON


def test_every_field_that_is_told_is_decided_on() -> None:
    names = {field.serialization_alias or name for name, field in JobDetailReply.model_fields.items()} - {"test_of"}
    assert names == set(scrubbing._DELIVERED_JOB) | TOLD_OF_A_PERSON
    assert "phone" in AttemptReply.model_fields


def test_an_erased_job_can_be_read_and_is_not_erased_twice() -> None:
    contact = make_contact(2, dni="12345678-5", custom_fields={"rut": "12.345.678-5"}, timezone="America/Lima")
    records = [make_record(phone=number, attempt_id=number[-3:]) for number in [*contact.phones, "+56911119999"]]
    report = make_report(transcript="User: soy Ana", analysis={"call_summary": "Ana"}, user_spoke=True)
    job = make_job(state=JobState.COMPLETED, contact=contact, history=records, report=report, finished_at=NOW)
    document = {**to_document(job), "something_new": "Ana"}
    changes, gone = scrubbing.scrubbed_job(document, NOW)
    left = {name: value for name, value in {**document, **changes}.items() if name not in gone}
    assert "Ana" not in str(left)
    assert "5678" not in str(left)
    read = from_document(Job, dict(left))
    assert read.contact.is_erased
    assert [record.phone for record in read.history] == ["#1", "#2", "#0"]
    assert (read.person_keys, read.name_words, read.zone) == ([], [], "America/Lima")
    assert (read.state, read.erased_at, read.report and read.report.user_spoke) == (JobState.COMPLETED, NOW, True)
    again, more = scrubbing.scrubbed_job(left, NOW)
    assert ({**left, **again}, more) == (left, {})


def test_what_was_told_says_what_came_of_it_and_nothing_else() -> None:
    call = {"attempt_id": "a-1", "phone": "+56912345678", "cost": 0.3}
    job = {"job_id": "j-1", "status": "completed", "contact": {"phones": ["+56912345678"]}, "promesa_cliente": "Ana"}
    body = {"type": "call.finished", "timestamp": "t", "data": {"call": call, "job": {**job, "history": [call]}}}
    left = json.loads(scrubbing.scrubbed_body(json.dumps(body)))
    told: dict[str, Any] = {**call, "phone": "#1"}
    assert left["data"] == {
        "call": told,
        "job": {"job_id": "j-1", "status": "completed", "history": [told], "erased": True},
    }
    assert json.loads(scrubbing.scrubbed_body(json.dumps(left))) == left
    for broken in ("", "[]", "{", '{"data":{"job":null}}', '"x"'):
        assert scrubbing.scrubbed_body(broken) == "{}"


SEPARATORS = st.sampled_from(["\u00a0", "\u2013", ", ", "", " ", "-", ".", "  ", "(", ")", ") ", "/"])


@given(st.lists(SEPARATORS, min_size=8, max_size=8), st.sampled_from(["+56 9", "56-9", "09", "9", "(9)"]))
def test_a_rejected_row_is_found_however_the_number_is_grouped(separators: list[str], before: str) -> None:
    cell = before + "".join(gap + digit for gap, digit in zip(separators, "61112233", strict=True))
    person = sought_by("+56961112233", None)
    assert personal_data._is_mentioned(["Ana", cell], person)
    assert re.search(personal_data._digits("+56961112233"), json.dumps([cell], ensure_ascii=False))
    assert not personal_data._is_mentioned(["Ana", "9 6111 2234"], person)


@given(
    st.lists(st.sampled_from(["", ".", "-", " ", ". ", ",", "/", "\u00a0", "\u2011"]), min_size=9, max_size=9),
    st.booleans(),
)
def test_an_id_is_found_in_any_spelling(separators: list[str], lower: bool) -> None:
    cell = "".join(gap + digit for gap, digit in zip(separators, "12345678K", strict=True))
    cell = cell.lower() if lower else cell
    key = id_key("12.345.678-K")
    assert key
    assert personal_data._is_mentioned([cell], sought_by(None, key))
    assert re.search(personal_data._written(key), json.dumps([f"00{cell}"], ensure_ascii=False), re.IGNORECASE)


def test_who_is_meant() -> None:
    both = sought_by("+56912345678", "id:123456785")
    assert both.means(["id:123456785", "+56900000000"])
    assert both.means(["+56912345678"])
    assert not both.means(["id:98765433", "+56912345678"])
    assert not both.means(["+56900000000"])
    by_phone = sought_by("+56912345678", None)
    assert by_phone.means(["id:98765433", "+56912345678"])
    assert by_phone.known_by(["id:98765433", "+56911111111"]).means(["+56911111111"])
