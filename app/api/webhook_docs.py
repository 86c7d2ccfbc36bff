"""The webhooks that we send, in the OpenAPI document: what a receiver gets and is to answer (docs/webhooks.md)."""

from typing import Any

from fastapi import APIRouter

from app.api.schemas.webhook_events import BatchFinishedEvent, CallFinishedEvent, ContactFinalEvent, PingEvent

sent = APIRouter(tags=["webhooks"], generate_unique_id_function=lambda route: f"receive_{route.name}")
_TRUE = {"in": "header", "required": True}
_HEADERS: list[dict[str, Any]] = [
    {
        "name": "webhook-id",
        "description": "The event's; the same at every try. What has one that was seen before can be left aside.",
        "schema": {"type": "string"},
        "example": "call_finished_3f6c1d2e9a7b4c58",
        **_TRUE,
    },
    {
        "name": "webhook-timestamp",
        "description": "Of this try, in seconds since 1970.",
        "schema": {"type": "integer"},
        "example": 1761300000,
        **_TRUE,
    },
    {
        "name": "webhook-signature",
        "description": "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several, separated by spaces, "
        "while a secret is being changed.",
        "schema": {"type": "string"},
        "example": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        **_TRUE,
    },
]
_ANSWERS = {
    "2XX": {"description": "Received."},
    "410": {"description": "Nothing more is wanted: the webhook is switched off."},
    "default": {"description": "Not received: it is sent again, for about a day."},
}


@sent.post("call.finished", summary="A call is over", response_model=CallFinishedEvent)
def call_finished() -> None: ...


@sent.post("contact.final", summary="A contact is not called any more", response_model=ContactFinalEvent)
def contact_final() -> None: ...


@sent.post("batch.finished", summary="A batch is over", response_model=BatchFinishedEvent)
def batch_finished() -> None: ...


@sent.post("ping", summary="Asked for by hand", response_model=PingEvent)
def test_ping() -> None: ...


def describe_sent(schema: dict[str, Any]) -> None:
    """Turn them round: FastAPI knows how to say what is answered, but here it is what comes in."""
    for methods in schema["webhooks"].values():
        for operation in methods.values():
            content = operation["responses"]["200"]["content"]
            operation["requestBody"] = {"required": True, "content": content}
            operation["parameters"] = _HEADERS
            operation["responses"] = _ANSWERS
            operation["security"] = []
