"""The orders in which lists are shown, and what is found by what somebody types. Nothing that no index answers.

A name is found by the beginning of any of its words, whatever the accents and capitals: "pér", "PEREZ SO" and
"juan p" all find "Juan Pérez Soto". Each name is stored with what it can be found by (`name_words`).
"""

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

from app.domain.contacts import id_key
from app.domain.phone_numbers import normalise_phone

MOST_FOUND = 2000
"""Contacts that a search may find: they are sorted in memory. Who finds more writes more."""
_WORDS = 6
"""Words of a name by which it is found."""
_CHARS = 40
"""Of what was typed, and of what is stored, so many count."""
_DIGITS = 5
"""With so many digits it is a number or a national id, and no name."""
_WORD = re.compile(r"[^\W_]+")
_LAST = "\U0010ffff"


class AgeSort(StrEnum):
    """Of lists that are too large for any other order."""

    NEWEST = "-created_at"
    OLDEST = "created_at"

    @property
    def ascending(self) -> bool:
        return not self.value.startswith("-")


class NameSort(StrEnum):
    NEWEST = "-created_at"
    OLDEST = "created_at"
    NAME = "name"
    NAME_BACKWARDS = "-name"

    @property
    def ascending(self) -> bool:
        return not self.value.startswith("-")

    @property
    def by_name(self) -> bool:
        return self in {NameSort.NAME, NameSort.NAME_BACKWARDS}


class Search(NamedTuple):
    """`field` (of a stored list) has a value with one of these beginnings."""

    field: str
    beginnings: tuple[str, ...]

    @property
    def ranges(self) -> list[tuple[str, str]]:
        """From (included) and to (excluded), for each beginning."""
        return [(beginning, beginning + _LAST) for beginning in self.beginnings]


def sort_name(name: str) -> str:
    """What names are sorted by: Álvarez comes before Zapata, and "b" is not after "Z"."""
    return " ".join(_words(name))


def name_words(name: str) -> list[str]:
    """The name from each of its words on."""
    words = _words(name)
    return list(dict.fromkeys(" ".join(words[first:])[:_CHARS] for first in range(min(len(words), _WORDS))))


def name_search(typed: str) -> Search | None:
    """Names that have what was typed; None if it has neither letter nor digit."""
    words = _words(typed)
    return Search("name_words", (" ".join(words)[:_CHARS],)) if words else None


def contact_search(typed: str, country: str | None) -> Search | None:
    """Contacts by name or, if it has some digits, by national id and phone; None if nothing can be meant by it.

    Of a phone everything is needed, unless it begins with `+`; without country code it is one of `country`.
    """
    if sum(char.isdigit() for char in typed) < _DIGITS:
        return name_search(typed)
    digits = "".join(char for char in typed if char.isdecimal())
    begun = f"+{digits}" if typed.lstrip().startswith("+") else None
    found = [id_key(typed), begun or normalise_phone(typed, country).e164]
    known = tuple(key for key in found if key is not None)
    return Search("person_keys", known) if known else None


def _words(text: str) -> list[str]:
    if not text.isascii():
        # Most letters are ASCII, and this is done for each contact of a list.
        apart = unicodedata.normalize("NFKD", text)
        text = "".join([char for char in apart if char < "\x80" or not unicodedata.combining(char)])
    return _WORD.findall(text.casefold())
