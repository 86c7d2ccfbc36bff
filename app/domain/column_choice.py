"""What the client says that columns hold, against what was guessed: `{"fono contacto": "phone_1", "rut": "dni"}`.

A column is named by its header or by its key in the preview's `column_mapping`, which may be sent back corrected.
Columns that are not named keep their guess, unless somebody else now has their meaning.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from app.domain.column_mapping import (
    HEADER_SEARCH_ROWS,
    ColumnMapping,
    MappedColumn,
    find_header,
    key_of_custom,
)
from app.domain.errors import FieldError, InvalidInput
from app.domain.header_words import WEAK, slug
from app.domain.tables import Row

LONGEST_CHOICE = 65_536
"""Characters of JSON: 256 columns with long headers."""

_PHONE = re.compile(r"phone_([1-9]\d?)")
_ONCE = (
    "name",
    "first_name",
    "middle_name",
    "last_name",
    "second_last_name",
    "email",
    "dni",
    "country",
    "area_code",
    "timezone",
)
TARGETS = (*_ONCE, "custom", "ignore")
"""And `phone_1`, `phone_2`, … in the order of calling."""

_FIELD = "column_mapping"


def parse_choices(text: str) -> dict[str, str]:
    """Column to target. Raises InvalidInput naming each column whose target is unknown or taken."""
    try:
        choices = json.loads(text)
    except (ValueError, RecursionError):
        choices = None
    if not isinstance(choices, dict):
        raise InvalidInput([FieldError.of((_FIELD,), "column_mapping_not_an_object")])
    errors: list[FieldError] = []
    named: set[str] = set()
    for column, target in choices.items():
        if not isinstance(target, str) or not (target in TARGETS or _PHONE.fullmatch(target)):
            errors.append(_error(column, "column_target_unknown", targets=", ".join(("phone_1", *TARGETS))))
        elif target in named and target not in ("custom", "ignore"):
            errors.append(_error(column, "column_target_taken", target=target))
        else:
            named.add(target)
    if errors:
        raise InvalidInput(errors)
    return choices


def find_chosen_header(rows: Sequence[Row], choices: Collection[str]) -> int | None:
    """As `find_header`, but the row that holds most of the columns the client named goes before all others."""
    counts = _columns_held(rows, choices)
    most = max(counts, default=0)
    return counts.index(most) if most else find_header(rows)


def holds_columns(rows: Sequence[Row], choices: Collection[str]) -> bool:
    """Whether any of the first rows has one of the columns."""
    return any(_columns_held(rows, choices))


def _columns_held(rows: Sequence[Row], choices: Collection[str]) -> list[int]:
    names = set(map(_name, choices))
    return [len({_name(text) for text in row.cells} & names) for row in rows[:HEADER_SEARCH_ROWS]]


def _name(header: str) -> str:
    """What headers are compared by; a header without letters ("№ #") is itself."""
    return slug(header) or header.strip().casefold()


def apply_choices(mapping: ColumnMapping, choices: Mapping[str, str]) -> ColumnMapping:
    """The mapping as the client wants it. Raises InvalidInput for columns that are not there, or named twice."""
    if not choices:
        return mapping
    chosen = _chosen(mapping, choices)
    columns = [_guessed(column, chosen.values()) for column in mapping.columns if column.index not in chosen]
    columns += [
        column.model_copy(update=_as_target(chosen[column.index]))
        for column in mapping.columns
        if column.index in chosen
    ]
    numbered = _in_calling_order(columns, chosen)
    taken = {column.key for column in numbered}
    renamed = [_with_safe_key(column, taken) for column in sorted(numbered, key=lambda column: column.index)]
    settled = {column.header for column in mapping.columns if column.index in chosen}
    warnings = tuple(warning for warning in mapping.warnings if warning.params.get("header") not in settled)
    return ColumnMapping(header_row=mapping.header_row, columns=tuple(renamed), warnings=warnings)


def _chosen(mapping: ColumnMapping, choices: Mapping[str, str]) -> dict[int, str]:
    chosen: dict[int, str] = {}
    errors: list[FieldError] = []
    for name, target in choices.items():
        column = _column(mapping.columns, name)
        if column is None:
            known = ", ".join(column.key for column in mapping.columns)
            errors.append(_error(name, "column_unknown", known=known))
        elif column.index in chosen:
            errors.append(_error(name, "column_named_twice"))
        else:
            chosen[column.index] = target
    if errors:
        raise InvalidInput(errors)
    return chosen


def _column(columns: Iterable[MappedColumn], name: str) -> MappedColumn | None:
    """Keys are unique, so they go before headers, of which the first is meant."""
    by_key = {column.key: column for column in columns}
    by_header = {_name(column.header): column for column in reversed(by_key.values())}
    return by_key.get(name) or by_key.get(slug(name)) or by_header.get(_name(name))


def _as_target(target: str) -> dict[str, object]:
    if target == "dni":
        return {"target": "custom", "national_id": True, "confidence": 1.0, "mobile": False}
    return {"target": target, "national_id": False, "confidence": 1.0}


def _guessed(column: MappedColumn, targets: Collection[str]) -> MappedColumn:
    """A column nobody named, without a meaning that another was given; of phones only those that are no weak guess."""
    phones_chosen = any(map(_PHONE.fullmatch, targets))
    is_weak_phone = column.target.startswith("phone_") and column.confidence <= WEAK
    if (column.target in _ONCE and column.target in targets) or (is_weak_phone and phones_chosen):
        return column.model_copy(update={"target": "custom", "confidence": 1.0, "mobile": False})
    if column.national_id and "dni" in targets:
        return column.model_copy(update={"national_id": False})
    return column


def _in_calling_order(columns: Iterable[MappedColumn], chosen: Collection[int]) -> list[MappedColumn]:
    """Phones numbered without gaps: first those the client numbered."""
    all_columns = list(columns)
    phones = [column for column in all_columns if column.target.startswith("phone_")]
    phones.sort(key=lambda column: (column.index not in chosen, int(column.target.removeprefix("phone_"))))
    numbers = {column.index: number for number, column in enumerate(phones, start=1)}
    return [
        column.model_copy(update={"target": f"phone_{numbers[column.index]}"}) if column.index in numbers else column
        for column in all_columns
    ]


def _with_safe_key(column: MappedColumn, taken: set[str]) -> MappedColumn:
    if column.target != "custom":
        return column
    key = key_of_custom(column.key, taken - {column.key})
    taken.add(key)
    return column if key == column.key else column.model_copy(update={"key": key})


def _error(column: str, code: str, **params: object) -> FieldError:
    return FieldError.of((_FIELD, column[:100]), code, column=column[:100], **params)
