"""What webhooks are told: `type`, `timestamp` (when it happened), and in `data` what the API would answer."""

from typing import Literal

from pydantic import Field

from app.api.schemas.batch_replies import BatchReply, batch_reply
from app.api.schemas.common import Instant, Reply
from app.api.schemas.jobs import AttemptReply, JobDetailReply, job_detail_reply
from app.domain.accounts import Account
from app.domain.messages import DEFAULT_LANGUAGE
from app.domain.untold import Untold
from app.domain.webhooks import EventType
from app.services.batches import BatchView
from app.services.jobs import JobView


class CallFinishedData(Reply):
    call: AttemptReply
    job: JobDetailReply = Field(description="The contact after the call: what `GET /jobs/{job_id}` answers.")


class ContactFinalData(Reply):
    job: JobDetailReply = Field(description="What `GET /jobs/{job_id}` answers.")


class BatchFinishedData(Reply):
    batch: BatchReply = Field(description="What `GET /batches/{batch_id}` answers.")


class PingData(Reply):
    webhook_id: str


class CallFinishedEvent(Reply):
    """An attempt is over and charged, whatever it came to."""

    type: Literal["call.finished"]
    timestamp: Instant
    data: CallFinishedData


class ContactFinalEvent(Reply):
    """A contact is not called any more. Contacts that the cancelling of their batch ended are not told one by one."""

    type: Literal["contact.final"]
    timestamp: Instant
    data: ContactFinalData


class BatchFinishedEvent(Reply):
    """Every contact of a batch is final; of a cancelled one: its last call is over."""

    type: Literal["batch.finished"]
    timestamp: Instant
    data: BatchFinishedData


class PingEvent(Reply):
    """Asked for with `POST …/test`."""

    type: Literal["ping"]
    timestamp: Instant
    data: PingData


class WebhookPayloads:
    """Texts for people are in Spanish, as where no language is asked for; programs go by the codes."""

    def of_job(self, event: Untold, view: JobView, account: Account) -> str:
        job = job_detail_reply(view, account, DEFAULT_LANGUAGE)
        if event.type is EventType.CALL_FINISHED:
            data = CallFinishedData(call=job.history[-1], job=job)
            return CallFinishedEvent(type="call.finished", timestamp=event.at, data=data).model_dump_json(by_alias=True)
        final = ContactFinalEvent(type="contact.final", timestamp=event.at, data=ContactFinalData(job=job))
        return final.model_dump_json(by_alias=True)

    def of_batch(self, event: Untold, view: BatchView) -> str:
        data = BatchFinishedData(batch=batch_reply(view, DEFAULT_LANGUAGE))
        return BatchFinishedEvent(type="batch.finished", timestamp=event.at, data=data).model_dump_json(by_alias=True)
