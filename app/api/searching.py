"""`?q=` and `?sort=` of lists: only what an index answers."""

from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

from app.api.schemas.common import AnyCase
from app.domain.errors import FieldError, InvalidInput
from app.domain.searching import NameSort, Search, name_search

Searched = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
NamePart = Annotated[
    Searched | None,
    Query(description="Only those of whose name a word begins so; accents and capitals do not matter."),
]
SortDep = Annotated[NameSort, AnyCase, Query(description="By default the newest first.")]


def usable(search: Search | None, typed: str) -> Search:
    """Raises InvalidInput if nothing can be meant by what was typed."""
    if search is None:
        raise InvalidInput([FieldError.of(("query", "q"), "search_unusable", value=typed[:60])])
    return search


def named(typed: str | None) -> Search | None:
    """What `NamePart` asks for. Raises InvalidInput."""
    return None if typed is None else usable(name_search(typed), typed)
