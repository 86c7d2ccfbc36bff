"""A new field of Batch is one of the settings that a run has of its series, or belongs to one batch's own life."""

from app.domain.batches import Batch
from app.services.recurring import SETTINGS

OF_ITS_OWN = {
    "batch_id",
    "name",
    "schedule_type",
    "scheduled_at",
    "recurrence",
    "next_run_at",
    "runs_started",
    "parent_batch_id",
    "test_of",
    "no_calls_after",
    "status",
    "total_jobs",
    "numbers_used",
    "current_import",
    "undone_imports",
    "budget_reservations",
    "budget_settled",
    "shortage",
    "pause_reason",
    "paused_at",
    "paused_by",
    "block",
    "pace",
    "turn",
    "idempotency_key",
    "request_digest",
    "import_expires_at",
    "deleted_at",
    "clear_jobs_after",
    "wake_at",
    "revision",
    "created_at",
    "updated_at",
    "started_at",
    "finished_at",
}


def test_every_field_is_a_setting_or_of_its_own() -> None:
    assert set(SETTINGS) | OF_ITS_OWN == set(Batch.model_fields)
    assert not set(SETTINGS) & OF_ITS_OWN
