"""Everything about the simulated Retell that can be turned while it runs (retell.md §12).

Units: `*_seconds` of a call's life (delays of cost, analysis, listing, webhooks) are simulated seconds; those
the client's own clock measures (idempotency window, reply delay, hanging, HTTP time-out) are real seconds.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from scripts.retell_simulator.outcomes import Outcome, ScriptedOutcome

Rate = Annotated[float, Field(ge=0, le=1)]
Delay = Annotated[float, Field(ge=0)]
FaultKind = Literal["none", "timeout_before", "timeout_after", "500_before", "500_after", "malformed_201"]


def _number_if_digits(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdigit() else value


class _Knobs(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreateFault(_Knobs):
    """Spoils create requests that would have succeeded, before or after the call exists (retell.md §3.5)."""

    kind: FaultKind
    probability: Rate = 1.0
    count: Annotated[int, Field(ge=0)] | None = None
    """How many more requests to spoil; counts down. None: no end."""
    to_number: str | None = None
    """Only calls to this number."""


class ReadFault(_Knobs):
    """Answers reads (get-call, list-calls, get-concurrency) and stop-call with an HTTP error."""

    status_code: Literal[429, 500, 502, 503]
    probability: Rate = 1.0
    count: Annotated[int, Field(ge=0)] | None = None


class MixEntry(_Knobs):
    """One share of the random outcomes for unscripted numbers."""

    weight: Annotated[float, Field(gt=0)]
    outcome: ScriptedOutcome


class WebhookKnobs(_Knobs):
    """How webhooks are delivered (retell.md §8)."""

    url: str | None = None
    """Account-level target; a call's `agent_override.agent.webhook_url` wins, null there means none."""
    events: list[str] = ["call_started", "call_ended", "call_analyzed"]
    delay_seconds: Delay = 0.0
    drop_rate: Rate = 0.0
    duplicate_rate: Rate = 0.0
    reorder_rate: Rate = 0.0
    """Share of call_started and call_ended events held back `reorder_hold_seconds`, past later events."""
    reorder_hold_seconds: Delay = 30.0
    bad_signature_rate: Rate = 0.0
    retries: Annotated[int, Field(ge=0)] = 3
    retry_spacing_seconds: Delay = 5.0
    timeout_seconds: Delay = 10.0
    """Real seconds; a call's `webhook_timeout_ms` wins."""


class Knobs(_Knobs):
    """The whole panel. `PATCH /simulator/knobs` takes any subset; `webhooks` is merged, the rest replaced."""

    # account
    account_state: Annotated[Literal["ok", 401, 402, 403], BeforeValidator(_number_if_digits)] = "ok"
    """401 and 403 refuse everything, 402 refuses creates (§9)."""
    concurrency_limit: Annotated[int, Field(ge=0)] = 20
    """0: no limit."""
    reserved_inbound_concurrency: Annotated[int, Field(ge=0)] = 0
    """The part of the limit that outbound calls cannot have (§7.2)."""
    over_limit: Literal["http_429", "error_call"] = "http_429"
    cps_limit: Annotated[int, Field(ge=1)] | None = None
    """New calls per real second; beyond it 429."""
    retry_after_seconds: Delay | None = None
    """`Retry-After` of a 429; Retell documents none."""
    owned_numbers: list[str] = []
    """Empty: every from_number is ours."""
    allowed_outbound_countries: list[str] = []
    """What get-phone-number says of a number; creates do not go by it. Empty: it says nothing."""
    known_agents: list[str] = []
    """Empty: every agent exists."""
    unknown_agent_status: Literal[404, 422] = 422
    bound_agent_id: str | None = "agent_simulator"
    """The agent bound to every number; null: a create without override_agent_id is a 400."""
    do_not_call: list[str] = []
    """Contacts refused when `honor_internal_dnc` is true, besides those that asked for it in a call."""

    # requests
    unknown_keys: Literal["accept", "reject"] = "accept"
    metadata_limit_bytes: Annotated[int, Field(ge=0)] | None = None
    schema_error_body: Literal["error_message", "message"] = "error_message"
    reply_delay_seconds: Delay = 0.0
    create_faults: list[CreateFault] = []
    """The first that matches and fires wins."""
    read_faults: list[ReadFault] = []
    hang_seconds: Delay = 600.0
    """How long a `timeout_*` fault holds the request before 504."""
    idempotency_window_seconds: Delay = 3600.0
    idempotency_conflict: Literal["400", "replay"] = "400"
    """The same key with a different body."""
    replay_status: Annotated[int, Field(ge=200, le=299)] = 201

    # calls
    default_outcome: ScriptedOutcome = Outcome(disconnection_reason="user_hangup", ring_seconds=6.0, talk_seconds=45.0)
    mix: list[MixEntry] = []
    """Not empty: unscripted numbers draw from this instead, repeatably per (seed, number, nth call)."""
    cost_delay_seconds: Delay | None = 2.0
    """null: the cost never appears."""
    prices_cents_per_second: dict[str, Annotated[float, Field(ge=0)]] = {
        "retell_voice_engine": 0.1166667,
        "us_telnyx_telephony": 0.025,
        "gpt_4_1": 0.075,
    }
    analysis_delay_seconds: Delay | None = 5.0
    """null: the analysis never appears."""
    analysis_drop_rate: Rate = 0.0
    start_timestamp_when_unconnected: bool = False
    stop_on_ringing: Literal["end", "ignore", "reject"] = "end"
    stop_on_ended: Literal[400, 422] = 400

    # replies
    list_lag_seconds: Delay = 0.0
    list_registered: bool = True
    list_not_connected: bool = True
    extra_keys: dict[str, Any] = {}
    """Added to every call object."""
    missing_keys: list[str] = []
    """Left out of every call object."""

    webhooks: WebhookKnobs = WebhookKnobs()

    def patched(self, changes: dict[str, Any]) -> "Knobs":
        """A copy with `changes` applied; raises pydantic.ValidationError."""
        merged = self.model_dump() | changes
        if isinstance(changes.get("webhooks"), dict):
            merged["webhooks"] = self.webhooks.model_dump() | changes["webhooks"]
        return Knobs.model_validate(merged)
