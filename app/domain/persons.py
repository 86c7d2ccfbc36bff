"""What else an account is doing with the person that a job is for. Who is the same person: contacts.person_keys."""

from pydantic import BaseModel, ConfigDict

from app.domain.jobs import CALLING, AttemptRecord, JobState


class OtherJob(BaseModel):
    """Another job of the same account for the same person, as far as it matters to the decision to call."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    state: JobState
    history: list[AttemptRecord] = []

    @property
    def is_calling(self) -> bool:
        """Its phone rings or may ring just now, or the effects of its call are not all written yet."""
        return self.state in CALLING
