"""What the contacts of a whole list give a script: found out while the list is read, so that nobody reads it again."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from pydantic import BaseModel

from app.domain.contacts import ContactRow
from app.domain.errors import FieldError
from app.domain.header_words import slug
from app.domain.messages import Message
from app.domain.tables import shown
from app.domain.variables import GIVEN_BY_EVERY_CALL, own_variables, placeholders

FIRST_ROWS = 50
"""Rows without a value that are named; the count tells of the rest."""
MOST_SUGGESTIONS = 20
_MOST_NAMES = 20
"""Named in one message."""
_ALIKE = 0.8
"""As difflib measures: `mnto` means `monto`, but `telefono_aval` not `telefono`."""


@dataclass(slots=True)
class Gap:
    """The contacts that have no value for a variable: how many, and the numbers of the first FIRST_ROWS rows."""

    rows: int = 0
    first_rows: list[int] = field(default_factory=list)


class MissingVariable(BaseModel):
    """A name that a script uses and `rows` contacts have no value for."""

    name: str
    rows: int
    first_rows: list[int]
    is_unknown: bool
    """No contact at all has a value."""
    suggestion: str | None = None
    """The available name that was probably meant."""

    @property
    def message(self) -> Message:
        if not self.is_unknown:
            return Message(code="variable_missing_in_some", params={"name": self.name, "rows": self.rows})
        written = shown(self.name)
        if self.suggestion is None:
            return Message(code="variable_unknown", params={"name": written})
        return Message(code="variable_misspelt", params={"name": written, "suggestion": self.suggestion})


@dataclass(slots=True)
class AvailableVariables:
    """Which variables the contacts of a list bring along, besides those that every call has.

    Counted in for every row, which a pydantic model would make slow: it looks at each assignment.
    """

    contacts: int = 0
    first_rows: list[int] = field(default_factory=list)
    """The first FIRST_ROWS contacts' rows."""
    gaps: dict[str, Gap] = field(default_factory=dict)
    """By the name of every variable that a contact has a value for, in the order of their first."""

    @classmethod
    def of(cls, rows: Iterable[ContactRow]) -> "AvailableVariables":
        available = cls()
        for row in rows:
            available.count(row.row_number, own_variables(row.contact))
        return available

    def count(self, row_number: int, own: Mapping[str, str]) -> None:
        """Take one more contact into account, of which `own` are the variables. Called for every row of a list."""
        gaps = self.gaps
        if not own.keys() <= gaps.keys():
            for name in [name for name in own if name not in gaps]:
                gaps[name] = Gap(rows=self.contacts, first_rows=self.first_rows[:])
        self.contacts += 1
        if len(self.first_rows) < FIRST_ROWS:
            self.first_rows.append(row_number)
        if len(own) == len(gaps):
            return
        for name, gap in gaps.items():
            if name not in own:
                gap.rows += 1
                if len(gap.first_rows) < FIRST_ROWS:
                    gap.first_rows.append(row_number)

    def names(self, given: Collection[str] = ()) -> list[str]:
        """Every name that a script may use; `given` are those that each contact gets besides its own."""
        return list(dict.fromkeys([*self.gaps, *given, *GIVEN_BY_EVERY_CALL]))

    def missing(self, script: str, given: Collection[str] = ()) -> list[MissingVariable]:
        """The names that `script` uses and some contact has no value for, in the script's order."""
        names = self.names(given)
        always = {*given, *GIVEN_BY_EVERY_CALL}
        found = [(name, self._gap(name)) for name in placeholders(script) if name not in always]
        # Looking for each name that was meant takes a while: whoever misspelt more has another problem.
        unknown = [name for name, _ in found if name not in self.gaps][:MOST_SUGGESTIONS]
        meant = {name: nearest_name(name, names) for name in unknown}
        return [
            MissingVariable(
                name=name,
                rows=gap.rows,
                first_rows=gap.first_rows,
                is_unknown=name not in self.gaps,
                suggestion=meant.get(name),
            )
            for name, gap in found
            if gap.rows
        ]

    def _gap(self, name: str) -> Gap:
        return self.gaps.get(name) or Gap(rows=self.contacts, first_rows=self.first_rows)


def nearest_name(name: str, names: Collection[str]) -> str | None:
    """The one of `names` that was probably meant by `name`: the same but for its writing, nearly the same, or the only
    one that has its words."""
    written = slug(name.partition("|")[0])
    same = next((known for known in names if slug(known) == written), None)
    close = same or next(iter(get_close_matches(written, names, n=1, cutoff=_ALIKE)), None)
    if close:
        return close
    words = set(written.split("_"))
    having = [known for known in names if words <= set(known.split("_"))]
    return having[0] if len(having) == 1 else None


def missing_errors(missing: list[MissingVariable], limit: int) -> list[FieldError]:
    """Why a script is refused: a name that no contact has, once; of others each row, `limit` in all; and what is not
    spelled out as a number."""
    errors = [_error(variable) for variable in missing if variable.is_unknown]
    partly = [variable for variable in missing if not variable.is_unknown]
    names_by_row: dict[int, list[str]] = {}
    for variable in partly:
        for row in variable.first_rows:
            names_by_row.setdefault(row, []).append(variable.name)
    errors += [
        FieldError.of(("script_content",), "variables_missing", row=row, names=_listed(names))
        for row, names in sorted(names_by_row.items())
    ]
    errors = errors[:limit]
    return errors + [_error(variable) for variable in partly if variable.rows > len(variable.first_rows)]


def _listed(names: list[str]) -> str:
    return ", ".join([*names[:_MOST_NAMES], *("…" for _ in names[_MOST_NAMES:][:1])])


def _error(variable: MissingVariable) -> FieldError:
    return FieldError(loc=("script_content",), message=variable.message)
