"""The migrations in their order. A new one is added at the end and never changed once it was released.

How to write one, and what may be done beside code that lives: docs/adr/0026-migrations.md.
"""

from app.repositories.migrations import m0001_indexes, m0002_computed_fields
from app.repositories.migrations.steps import Migration

MIGRATIONS: tuple[Migration, ...] = (m0001_indexes.MIGRATION, m0002_computed_fields.MIGRATION)

CODE_VERSION = MIGRATIONS[-1].number
"""Of this code: the version that it brings data to."""
