"""Parameters in an address that its route does not know are refused: a filter that is misspelt, and ignored, would
answer with everything there is.

One whose name begins with `_` means nothing by custom: browsers' libraries add such against caches.
"""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant

from app.domain.errors import FieldError, InvalidInput

LONGEST_QUOTED = 60


async def refuse_unknown_parameters(request: Request) -> None:
    """Raises InvalidInput, naming each and listing those that there are."""
    known = list(_parameters(request.scope["route"].dependant))
    unknown = [name for name in request.query_params if name not in known and not name.startswith("_")]
    if not unknown:
        return
    code = "parameter_unknown" if known else "parameters_none"
    raise InvalidInput(
        [FieldError.of(("query", name[:LONGEST_QUOTED]), code, known=", ".join(known)) for name in unknown]
    )


def _parameters(dependant: Dependant) -> Iterator[str]:
    """Its own and those of what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for needed in dependant.dependencies:
        yield from _parameters(needed)
