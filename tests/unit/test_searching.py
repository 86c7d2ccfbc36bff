"""A name is found by how any of its first six words begins, whatever accents and capitals."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.searching import Search, contact_search, name_search, name_words, sort_name
from tests.builders import make_contact, make_job

NAMES = st.lists(st.text("abñÑéÉüz-", min_size=1, max_size=8), min_size=1, max_size=5).map(" ".join)


def finds(search: Search | None, stored: list[str]) -> bool:
    return search is not None and any(since <= text < until for since, until in search.ranges for text in stored)


@given(NAMES, st.data())
def test_whoever_types_the_beginning_of_a_word_finds_the_name(name: str, data: st.DataObject) -> None:
    stored = name_words(name)
    words = sort_name(name).split()
    if not words:
        assert stored == []
        return
    rest = " ".join(words[data.draw(st.integers(0, min(len(words), 6) - 1)) :])
    typed = rest[: data.draw(st.integers(1, len(rest)))]
    written = data.draw(st.sampled_from([typed, typed.upper(), f"  {typed} ", unicodedata.normalize("NFD", typed)]))
    assert finds(name_search(written), stored)


@pytest.mark.parametrize("typed", ["juan p", "PEREZ", "pérez so", "Juan  Pérez-Soto", "s"])
def test_juan_perez_soto_is_found(typed: str) -> None:
    assert finds(name_search(typed), name_words("Juan Pérez-Soto"))


@pytest.mark.parametrize("typed", ["uan", "juan soto", "perez juan", "perezs"])
def test_what_is_not_the_beginning_of_a_word_finds_nobody(typed: str) -> None:
    assert not finds(name_search(typed), name_words("Juan Pérez-Soto"))


@pytest.mark.parametrize(
    "typed", ["12.345.678-5", "123456785", "12345678", "+56 9 1234 5678", "+56912345678", "+56 9 12", "9 1234 5678"]
)
def test_a_person_is_found_by_id_and_phone(typed: str) -> None:
    job = make_job(contact=make_contact(["+56912345678"], dni="12345678-5"))
    search = contact_search(typed, "CL")
    assert search is not None
    assert search.field == "person_keys"
    assert finds(search, job.person_keys)
    other = make_job(contact=make_contact(["+56987654321"], dni="9876543-2"))
    assert not finds(search, other.person_keys)


def test_what_means_nothing_finds_nothing() -> None:
    assert name_search("-- ¿?") is None
    assert contact_search("00000", None) is None


def test_names_are_sorted_as_people_read_them() -> None:
    names = ["Zapata", "b", "Álvarez", "Ñuble", "ana"]
    assert sorted(names, key=sort_name) == ["Álvarez", "ana", "b", "Ñuble", "Zapata"]
