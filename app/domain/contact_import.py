"""From a table's rows to contacts, with what is wrong in each row by the number the spreadsheet shows.

A row is a contact if it has one possible telephone and no unknown time zone; everything else about it may be missing
or odd and is then a warning. Contacts that share a number with an earlier row are kept and reported: the caller
decides.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.domain.column_mapping import ColumnMapping, MappedColumn
from app.domain.contact_sheet import understand
from app.domain.contacts import MAX_PHONES, Contact, ContactRow
from app.domain.errors import FieldError
from app.domain.national_ids import has_wrong_check_digit
from app.domain.ordinary_numbers import ordinary_number
from app.domain.phone_numbers import PhoneNumber, normalise_phone, split_phones
from app.domain.phone_regions import region_of_country
from app.domain.tables import MAX_CELL_CHARS, Row, Table, one_line, shown
from app.domain.time_zones import time_zone_of

_NAME_PARTS = ("first_name", "middle_name", "last_name", "second_last_name")

# Variables that every call has anyway: a column of that name needs no custom field to be spoken.
_ALWAYS_VARIABLES = frozenset({"nombre", "name", "email", "correo"})

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"\\]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}")
_EMAIL_SEPARATORS = re.compile(r"[\s,;|/<>]+")


class RowIssues(NamedTuple):
    """What is wrong with one row; `loc` of each issue is the column's key."""

    row_number: int
    issues: list[FieldError]


class Duplicate(NamedTuple):
    """`phone` (E.164) of this row was first seen in `first_row_number`."""

    row_number: int
    first_row_number: int
    phone: str


@dataclass(frozen=True, slots=True)
class ContactImport:
    """A list as it was understood. `country` is where numbers without a country code were taken to be from.

    `total_rows` = contacts + row errors; rows that are entirely blank are not counted.
    """

    contacts: list[ContactRow]
    row_errors: list[RowIssues]
    row_warnings: list[RowIssues]
    duplicates: list[Duplicate]
    mapping: ColumnMapping
    total_rows: int
    country: str | None
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns by what they are read for. `width` columns are in the sheet, some of them perhaps for nothing."""

    width: int
    phones: list[tuple[int, MappedColumn]]
    names: list[tuple[int, MappedColumn]]
    email: MappedColumn | None
    country: MappedColumn | None
    area_code: MappedColumn | None
    timezone: MappedColumn | None
    national_id: MappedColumn | None
    is_rut: bool
    """What `national_id` is headed as: a column of passports or DNIs has no check digit."""
    custom: list[tuple[str, int]]
    all: tuple[MappedColumn, ...]


@dataclass(slots=True)
class _RowReport:
    """What is found out about the row being read."""

    errors: list[FieldError] = field(default_factory=list)
    warnings: list[FieldError] = field(default_factory=list)

    def error(self, column: MappedColumn, code: str, **params: Any) -> None:
        self.errors.append(FieldError.of((column.key,), code, **params))

    def warn(self, column: MappedColumn, code: str, **params: Any) -> None:
        self.warnings.append(FieldError.of((column.key,), code, **params))


class ReadRow(NamedTuple):
    """One row of the list. `fields`, as `contacts.Contact` takes them, are None if it is rejected, for its `errors`."""

    row: Row
    fields: dict[str, Any] | None
    errors: list[FieldError]
    warnings: list[FieldError]
    duplicate: Duplicate | None

    def contact(self) -> ContactRow | None:
        """The fields validated, which costs more than to read them."""
        return ContactRow(self.row.number, Contact.model_validate(self.fields)) if self.fields else None


def import_contacts(table: Table, *, country: str | None) -> ContactImport:
    """The contacts of `table`. `country` (ISO 3166) is where numbers without a country code are from; a "país"
    column of the list goes before it.

    Raises SpreadsheetRejected if there is no header (`no_header`), no telephone column (`no_phone_column`) or
    nothing in it (`phone_column_empty`), no row (`no_rows`), too many (`too_many_rows`) or a header that is a
    paragraph (`header_too_long`).
    """
    mapping, data = understand(table, {})
    rows = list(read_rows(mapping, data, country))
    return ContactImport(
        contacts=[contact for read in rows if (contact := read.contact())],
        row_errors=[RowIssues(read.row.number, read.errors) for read in rows if not read.fields],
        row_warnings=[RowIssues(read.row.number, read.warnings) for read in rows if read.warnings],
        duplicates=[read.duplicate for read in rows if read.duplicate],
        mapping=mapping,
        total_rows=len(data),
        country=country,
        sheet=table.sheet,
    )


def read_rows(mapping: ColumnMapping, data: Sequence[Row], country: str | None) -> Iterator[ReadRow]:
    """Each row of the list as it is asked for, in order."""
    layout = _layout(mapping, max((len(row.cells) for row in data), default=0))
    first_rows: dict[str, int] = {}
    for row in data:
        report = _RowReport()
        fields = _fields(row, layout, country, report)
        duplicate = _duplicate(row.number, fields["phones"], first_rows) if fields else None
        yield ReadRow(row, fields, report.errors, report.warnings, duplicate)


def is_email(text: str) -> bool:
    """Whether `text` is one e-mail address, as far as its form tells."""
    return _EMAIL.fullmatch(text) is not None


# --- The columns


def _layout(mapping: ColumnMapping, width: int) -> _Layout:
    name = mapping.first("name")
    parts = [column for target in _NAME_PARTS if (column := mapping.first(target))]
    national_id = next((column for column in mapping.columns if column.national_id), None)
    return _Layout(
        width=max(width, len(mapping.headers())),
        phones=_indexed(mapping.phones),
        names=_indexed([name] if name else parts),
        email=mapping.first("email"),
        country=mapping.first("country"),
        area_code=mapping.first("area_code"),
        timezone=mapping.first("timezone"),
        national_id=national_id,
        is_rut=national_id is not None and not {"rut", "run"}.isdisjoint(national_id.key.split("_")),
        custom=[(column.key, column.index) for column in mapping.columns if _is_spoken_by_its_column(column)],
        all=tuple(column for column in mapping.columns if column.target != "ignore"),
    )


def _indexed(columns: list[MappedColumn]) -> list[tuple[int, MappedColumn]]:
    return [(column.index, column) for column in columns]


def _is_spoken_by_its_column(column: MappedColumn) -> bool:
    """Whether a script's {{key}} needs the value as a custom field."""
    if column.target.startswith("phone_") or column.target == "ignore":
        return False
    return column.target not in ("name", "email") or column.key not in _ALWAYS_VARIABLES


# --- One row


def _fields(row: Row, layout: _Layout, country: str | None, report: _RowReport) -> dict[str, Any] | None:
    """The row as a contact, or None and at least one error in `report`."""
    texts = _texts(row.cells, layout, report)
    lines = _lines(texts)
    region = _region(texts, layout, country, report)
    custom = {key: line for key, index in layout.custom if (line := lines[index])}
    phones = _phones(texts, layout, region, custom, report)
    timezone = _time_zone(texts, layout, report)
    if report.errors:
        return None
    email = _email(texts, layout, custom, report)
    name = " ".join([line for index, _ in layout.names if (line := lines[index])])
    if not name:
        report.warn((layout.names or layout.phones)[0][1], "name_missing")
    fields: dict[str, Any] = {"name": name, "phones": phones, "custom_fields": custom}
    if email:
        fields["email"] = email
    if national_id := _national_id(lines, layout, region, report):
        fields["dni"] = national_id
    if timezone:
        fields["timezone"] = timezone
    return fields


def _national_id(lines: Sequence[str], layout: _Layout, region: str | None, report: _RowReport) -> str:
    if layout.national_id is None:
        return ""
    written = lines[layout.national_id.index]
    if region == "CL" and layout.is_rut and has_wrong_check_digit(written):
        report.warn(layout.national_id, "rut_check_digit", value=shown(written))
    return written


def _texts(cells: Sequence[str], layout: _Layout, report: _RowReport) -> Sequence[str]:
    """Each column's value by its index; "" where the row is shorter."""
    texts = cells if len(cells) == layout.width else [*cells, *[""] * (layout.width - len(cells))]
    return _without_long_ones(texts, layout, report) if len("".join(texts)) > MAX_CELL_CHARS else texts


def _without_long_ones(texts: Sequence[str], layout: _Layout, report: _RowReport) -> Sequence[str]:
    short = list(texts)
    for column in layout.all:
        if len(short[column.index]) > MAX_CELL_CHARS:
            report.error(column, "cell_too_long", header=column.header, limit=MAX_CELL_CHARS)
            short[column.index] = ""
    return short


def _lines(texts: Sequence[str]) -> Sequence[str]:
    """one_line of each: nearly always the texts themselves, which one look at all of them tells."""
    whole = "".join(texts)
    return [one_line(text) for text in texts] if "\n" in whole or "\t" in whole else texts


def _region(texts: Sequence[str], layout: _Layout, country: str | None, report: _RowReport) -> str | None:
    if layout.country is None or not texts[layout.country.index]:
        return country
    written = texts[layout.country.index]
    region = region_of_country(written)
    if region is None:
        report.warn(layout.country, "country_unknown", value=shown(written))
    return region or country


def _time_zone(texts: Sequence[str], layout: _Layout, report: _RowReport) -> str | None:
    """None is the batch's. A zone that is not understood is an error: guessed hours would ring at night."""
    if layout.timezone is None or not texts[layout.timezone.index]:
        return None
    written = texts[layout.timezone.index]
    name = time_zone_of(written)
    if name is None:
        report.error(layout.timezone, "time_zone_unknown", value=shown(written))
    return name


def _phones(
    texts: Sequence[str],
    layout: _Layout,
    region: str | None,
    custom: dict[str, str],
    report: _RowReport,
) -> list[str]:
    """The row's numbers, each once, in order. What is wrong with one is an error only if none is good."""
    phones: list[str] = []
    bad: list[FieldError] = []
    area_code = texts[layout.area_code.index] if layout.area_code else ""
    for index, column in layout.phones:
        text = texts[index]
        if not text:
            continue
        ordinary = ordinary_number(text, region)
        if ordinary and len(phones) < MAX_PHONES:  # nearly every cell: nothing more is to be said of it
            if ordinary not in phones:
                phones.append(ordinary)
            continue
        for raw, found in _numbers(text, region, area_code, mobile=column.mobile):
            if found.e164 is None:
                bad.extend(_bad_phone(column, raw, found))
            elif found.e164 not in phones:
                if len(phones) == MAX_PHONES:
                    report.error(column, "too_many_phones", limit=MAX_PHONES)
                    return phones
                phones.append(found.e164)
                if found.warnings or found.extension:
                    _note(found, raw, column, custom, report)
    (report.warnings if phones else report.errors).extend(bad)
    if not phones and not bad:
        _no_phone(texts, layout, report)
    return phones


def _numbers(text: str, region: str | None, area_code: str, *, mobile: bool) -> list[tuple[str, PhoneNumber]]:
    """What is written in a cell, and what became of it."""
    return [(raw, _normalise(raw, region, area_code, mobile=mobile)) for raw in split_phones(text)]


def _normalise(raw: str, region: str | None, area_code: str, *, mobile: bool) -> PhoneNumber:
    found = normalise_phone(raw, region, mobile_hint=mobile)
    if area_code and found.error in ("phone_too_short", "phone_needs_area_code"):
        with_area = normalise_phone(f"{area_code} {raw}", region, mobile_hint=mobile)
        return with_area if with_area.e164 else found
    return found


def _bad_phone(column: MappedColumn, raw: str, found: PhoneNumber) -> list[FieldError]:
    """Nothing for a blank such as "s/n"."""
    return [FieldError.of((column.key,), found.error, value=shown(raw))] if found.error else []


def _note(found: PhoneNumber, raw: str, column: MappedColumn, custom: dict[str, str], report: _RowReport) -> None:
    for code in found.warnings:
        report.warn(column, code, value=shown(raw), e164=found.e164)
    if found.extension:
        custom.setdefault(f"{column.key}_extension", found.extension)


def _no_phone(texts: Sequence[str], layout: _Layout, report: _RowReport) -> None:
    for index, column in layout.phones:
        if texts[index]:
            report.error(column, "phone_not_a_number", value=shown(texts[index]))
            return
    if not report.errors:
        report.error(layout.phones[0][1], "phone_missing")


def _email(texts: Sequence[str], layout: _Layout, custom: dict[str, str], report: _RowReport) -> str | None:
    """The first address in the cell. A text that is none stays as a custom field, with a warning."""
    if layout.email is None or not texts[layout.email.index]:
        return None
    written = texts[layout.email.index]
    if is_email(written):
        return written
    for piece in _EMAIL_SEPARATORS.split(written):
        address = piece.removeprefix("mailto:")
        if is_email(address):
            return address
    custom[layout.email.key] = one_line(written)
    report.warn(layout.email, "email_invalid", value=shown(written))
    return None


def _duplicate(row_number: int, phones: Sequence[str], first_rows: dict[str, int]) -> Duplicate | None:
    """Whether an earlier row has one of the contact's numbers; its own are remembered in `first_rows`."""
    found = None
    for phone in phones:
        first_row = first_rows.setdefault(phone, row_number)
        if first_row != row_number and found is None:
            found = Duplicate(row_number, first_row, phone)
    return found
