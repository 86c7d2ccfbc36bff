"""What each column of a contact list holds, judged by its header (Spanish, English, Portuguese).

* what each header means by itself is found by its words (header_words); what has no meaning stays custom
* headers that may mean two things take their meaning from the values
* phones are numbered by confidence, index and column; weak guesses count only where nothing better is there

Every column keeps a key, its slug: custom fields reach the call's script under it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from app.domain.header_words import (
    BY_CONTENT,
    CUSTOM,
    SURE,
    WEAK,
    Guess,
    Header,
    clarity,
    guess_of,
    is_document,
    is_mobile,
    is_national_id,
    is_no_phone,
    is_weak_name,
    is_weak_phone,
    parse_header,
    slug,
)
from app.domain.messages import Message
from app.domain.national_ids import is_rut
from app.domain.tables import Row

# The header is looked for in the first rows that hold anything: titles and remarks may stand above it.
HEADER_SEARCH_ROWS = 20

# Of this share of its values a column of ambiguous header ("contacto", "numero") takes its meaning.
_CONTENT_SHARE = 0.7

# So many values in ascending order are a series of ids; fewer may be so by chance.
_SHORTEST_SERIES = 5

_RESERVED_KEY = re.compile(r"name|email|phone_\d+|phones|custom_fields")

_PHONE_LIKE = re.compile(r"[+(]?[\d\s().+-]{7,24}")
_DATE_LIKE = re.compile(r"\d{4}[-/.]\d\d?[-/.]\d\d?.*|\d\d?[-/.]\d\d?[-/.]\d{4}.*")


class MappedColumn(BaseModel):
    """One column. `index` counts from 0 (column A); `header` is as shown; `key` is unique in the sheet.

    `target` is "name", "first_name", "middle_name", "last_name", "second_last_name", "email", "country",
    "area_code", "timezone", "phone_1", "phone_2", ..., "custom", or "ignore" if the client said so. `confidence` is
    0 to 1. `mobile` says that the header promises mobile numbers; `national_id` that the (custom) column holds the
    contact's `dni`.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    header: str
    key: str
    target: str
    confidence: float = SURE
    mobile: bool = False
    national_id: bool = False


class ColumnMapping(BaseModel):
    """`header_row` is the header's row number in the spreadsheet. `warnings` tell what was guessed."""

    model_config = ConfigDict(frozen=True)

    header_row: int
    columns: tuple[MappedColumn, ...]
    warnings: tuple[Message, ...] = ()

    @property
    def phones(self) -> list[MappedColumn]:
        """In the order in which they are to be called."""
        phones = [column for column in self.columns if column.target.startswith("phone_")]
        return sorted(phones, key=lambda column: int(column.target.removeprefix("phone_")))

    def first(self, target: str) -> MappedColumn | None:
        return next((column for column in self.columns if column.target == target), None)

    def headers(self) -> list[str]:
        """As shown, from column A on; "" for a column without one."""
        texts = [""] * max((column.index + 1 for column in self.columns), default=0)
        for column in self.columns:
            texts[column.index] = column.header
        return texts

    def targets(self) -> dict[str, str]:
        """Key to target, in column order, as the preview shows it: `{"nombre": "name", "rut": "custom"}`."""
        return {column.key: column.target for column in self.columns}


Samples = Callable[[int], Iterable[str]]
"""The first values of a column, by its index, as texts."""


def map_columns(headers: Sequence[str], header_row: int, samples: Samples | None = None) -> ColumnMapping:
    """The meaning of each header; a blank one ("") is left out, so name a column that has data beforehand.

    `samples` settles headers that may mean two things; without it they mean what they mostly do.
    """
    parsed = {index: parse_header(header) for index, header in enumerate(headers) if header}
    guesses = {index: guess_of(header) for index, header in parsed.items()}
    warnings = _resolve_weak(guesses, parsed, headers, samples)
    _settle_names(guesses)
    _keep_first(guesses, "email", "country", "area_code", "timezone")
    _number_phones(guesses, parsed)
    dni = _national_id(parsed, guesses)
    keys = _keys(headers, guesses)
    columns = [
        MappedColumn(
            index=index,
            header=headers[index],
            key=keys[index],
            target=guess.target,
            confidence=guess.confidence,
            mobile=guess.target.startswith("phone_") and is_mobile(parsed[index]),
            national_id=index == dni,
        )
        for index, guess in sorted(guesses.items())
    ]
    return ColumnMapping(header_row=header_row, columns=tuple(columns), warnings=tuple(warnings))


def find_header(rows: Sequence[Row]) -> int | None:
    """The position in `rows` of the header: of the first twenty the one with the most columns understood.

    None if none is understood. A row that holds a telephone number is data, one with a single text a title.
    """
    best: tuple[int, int] | None = None
    lone_column = all(_filled(row.cells) == 1 for row in rows[:HEADER_SEARCH_ROWS])
    for position, row in enumerate(rows[:HEADER_SEARCH_ROWS]):
        score = 0 if _holds_data(row.cells, lone_column=lone_column) else _score(row.cells)
        if score and (best is None or score > best[0]):
            best = (score, position)
    return best[1] if best else None


def looks_like_phone(text: str) -> bool:
    """Cheap test for guessing what a column holds: 8 to 15 digits and nothing but a number's punctuation."""
    return bool(_PHONE_LIKE.fullmatch(text)) and 8 <= sum(char.isdigit() for char in text) <= 15


def _resolve_weak(
    guesses: dict[int, Guess], parsed: dict[int, Header], headers: Sequence[str], samples: Samples | None
) -> list[Message]:
    """Guess phone and name from ambiguous headers, in place, where no clear one was found."""
    warnings: list[Message] = []
    if not any(guess.target == "phone" for guess in guesses.values()):
        for index in _weak_phones(parsed, guesses, samples):
            guesses[index] = Guess("phone", WEAK)
            warnings.append(Message(code="column_guessed_phone", params={"header": headers[index]}))
        if not warnings and samples is not None:
            for index in _phones_by_content(parsed, guesses, samples):
                guesses[index] = Guess("phone", BY_CONTENT)
                warnings.append(Message(code="column_phone_by_content", params={"header": headers[index]}))
    if not any("name" in guess.target for guess in guesses.values()):
        for index, header in parsed.items():
            if guesses[index] is CUSTOM and is_weak_name(header):
                guesses[index] = Guess("name", WEAK)
                warnings.append(Message(code="column_guessed_name", params={"header": headers[index]}))
                break
    return warnings


def _weak_phones(parsed: dict[int, Header], guesses: dict[int, Guess], samples: Samples | None) -> list[int]:
    found = []
    for index, header in parsed.items():
        if guesses[index] is not CUSTOM:
            continue
        share = _phone_share(samples(index)) if samples else None
        by_header = is_weak_phone(header) and (share is None or share >= _CONTENT_SHARE)
        by_content = header.core == ("contacto",) and share is not None and share >= _CONTENT_SHARE
        if by_header or by_content:
            found.append(index)
    return found


def _phones_by_content(parsed: dict[int, Header], guesses: dict[int, Guess], samples: Samples) -> list[int]:
    """Columns of numbers under headers that say nothing, where no header says "telephone"."""
    found = []
    for index, header in parsed.items():
        if guesses[index] is CUSTOM and not is_no_phone(header) and _are_phones(list(samples(index))):
            found.append(index)
    return found


def _are_phones(values: list[str]) -> bool:
    """Not RUTs and dates, which have as many digits, nor the numbers of a series."""
    numbers = [value for value in values if looks_like_phone(value) and not _DATE_LIKE.fullmatch(value)]
    if not values or len(numbers) < len(values) * _CONTENT_SHARE:
        return False
    if sum(map(is_rut, values)) >= len(values) * _CONTENT_SHARE:
        return False
    digits = [int("".join(char for char in number if char.isdecimal())) for number in numbers]
    return len(digits) < _SHORTEST_SERIES or digits != sorted(digits)


def _phone_share(values: Iterable[str]) -> float | None:
    """How many of the values look like numbers; None if there are no values to judge by."""
    verdicts = [looks_like_phone(value) for value in values if value]
    return sum(verdicts) / len(verdicts) if verdicts else None


def _settle_names(guesses: dict[int, Guess]) -> None:
    """ "Nombre" is the whole name, unless there is a column for the last name and none for the first."""
    targets = {guess.target for guess in guesses.values()}
    alone = "name_or_first" in targets and "first_name" not in targets and "name" not in targets
    meaning = "first_name" if alone and targets & {"last_name", "second_last_name"} else "name"
    for index, guess in guesses.items():
        if guess.target == "name_or_first":
            guesses[index] = Guess(meaning)
    parts = ("first_name", "middle_name", "last_name", "second_last_name")
    _keep_first(guesses, "name", *parts)


def _keep_first(guesses: dict[int, Guess], *targets: str) -> None:
    """Of two columns of one meaning the first has it; the other stays a custom field."""
    for target in targets:
        columns = sorted(index for index, guess in guesses.items() if guess.target == target)
        for index in columns[1:]:
            guesses[index] = CUSTOM


def _number_phones(guesses: dict[int, Guess], parsed: dict[int, Header]) -> None:
    phones = [index for index, guess in guesses.items() if guess.target == "phone"]
    phones.sort(key=lambda index: (-guesses[index].confidence, parsed[index].ordinal, index))
    for number, index in enumerate(phones, start=1):
        guesses[index] = guesses[index]._replace(target=f"phone_{number}")


def _national_id(parsed: dict[int, Header], guesses: dict[int, Guess]) -> int | None:
    """The column of the person's id: a RUT, DNI ... before a mere "documento", which may be an invoice."""
    custom = [index for index in sorted(parsed) if guesses[index].target == "custom"]
    for is_it in (is_national_id, is_document):
        for index in custom:
            if is_it(parsed[index]):
                return index
    return None


def _keys(headers: Sequence[str], guesses: dict[int, Guess]) -> dict[int, str]:
    """Unique slugs. A custom column must not pass for a contact's own field, so "email" becomes "email_2"."""
    taken: set[str] = set()
    keys: dict[int, str] = {}
    for index in sorted(guesses, key=lambda index: (guesses[index].target == "custom", index)):
        base = slug(headers[index]) or f"columna_{index + 1}"
        is_custom = guesses[index].target == "custom"
        keys[index] = key_of_custom(base, taken) if is_custom else _unused(base, taken, start=1)
        taken.add(keys[index])
    return keys


def key_of_custom(base: str, taken: Collection[str]) -> str:
    """`base`, or with a number if it is taken, or would pass for a contact's own field."""
    return _unused(base, taken, start=2 if _RESERVED_KEY.fullmatch(base) else 1)


def _unused(base: str, taken: Collection[str], *, start: int) -> str:
    number = start
    while (key := base if number == 1 else f"{base}_{number}") in taken:
        number += 1
    return key


def _filled(cells: Sequence[str]) -> int:
    return sum(map(bool, cells))


def _holds_data(cells: Sequence[str], *, lone_column: bool) -> bool:
    """A row of values, or a title above the list: no header."""
    if _filled(cells) < 2 and not lone_column:
        return True
    return any(map(looks_like_phone, cells))


def _score(cells: Sequence[str]) -> int:
    """How well the row is understood as a header: 2 a column of known meaning, 1 a weak guess."""
    return sum(clarity(parse_header(text)) for text in cells if text)
