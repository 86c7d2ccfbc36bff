"""A previewed list as it is kept: what of it is not contacts."""

from pydantic import BaseModel, ConfigDict

from app.domain.available_variables import AvailableVariables
from app.domain.imports import LeftOut


class Upload(BaseModel):
    """`headers` are the list's own, from its column A on, "" where a column has none."""

    model_config = ConfigDict(frozen=True)

    upload_id: str
    account_id: str
    filename: str
    contact_count: int
    rejected_count: int = 0
    headers: list[str] = []
    variables: AvailableVariables | None = None
    """None on uploads older than this field."""
    time_zones: list[str] = []
    """Which of their own the contacts have."""
    left_out: list[LeftOut] = []
    """Callable rows that are not among the contacts, for batches that were active."""
