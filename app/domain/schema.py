"""Which code may work with which data. Pure. See docs/adr/0026-migrations.md.

Both have a number: the data's `version` is that of the last migration it went through, the code's that of the last
migration it knows. Code that is newer than the data brings the data on; code that is older works only with data whose
`min_code_version` allows it.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, StrictInt


class Versions(BaseModel):
    """What every code, however old or new, must be able to read. Never changes its shape."""

    model_config = ConfigDict(frozen=True)

    version: StrictInt
    min_code_version: StrictInt
    """The oldest code that still understands the data, or will once the migration under way is over."""


class Lease(BaseModel):
    model_config = ConfigDict(frozen=True)

    holder: str
    until: datetime


class Stand(BaseModel):
    """How far an unfinished migration is; whoever goes on begins there."""

    model_config = ConfigDict(frozen=True)

    migration: int
    step: int = 0
    after: str | None = None
    """The `_id` up to which the step's documents are done; None: none is."""
    changed: int = 0
    skipped: int = 0
    """Documents that cannot be read, and were left as they are."""


class SchemaState(Versions):
    demanded_at: datetime | None = None
    """When `min_code_version` was raised: whoever is older has been told since then."""
    lease: Lease | None = None
    """Who migrates. It keeps two from doing the same work; that both may is made sure by the migrations themselves."""
    stand: Stand | None = None


def why_refused(versions: Versions, code_version: int) -> str | None:
    """Why code of that version must not touch the data; None if it may."""
    if code_version >= versions.min_code_version:
        return None
    return (
        f"The data in MongoDB (version {versions.version}) may be used by code of version {versions.min_code_version} "
        f"or later only; this code has version {code_version}. Start the newer Cadencia that migrated the data. To go "
        "back to this one, restore the backup from before the upgrade (docs/operations.md, Upgrades)."
    )
