"""What a batch's figures are shown as."""

from app.api.schemas.batch_replies import _percent
from app.domain.batches import Progress
from tests.builders import make_batch


def test_no_batch_is_more_than_done() -> None:
    """A slow importer's jobs of an import that was undone are there for a moment, and counted by nobody."""
    assert _percent(make_batch(total_jobs=2), Progress(completed=1, cancelled=2)) == 100
    assert _percent(make_batch(total_jobs=3), Progress(completed=1, cancelled=1)) == 66.7
    assert _percent(make_batch(total_jobs=0), Progress(cancelled=1)) == 0
