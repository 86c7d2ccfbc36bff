"""The shape of a create-phone-call request: names, types and bounds of retell.md §2.1–2.3.

TypedDicts, because "absent" and "null" mean different things here and a dict keeps them apart.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, PlainValidator
from typing_extensions import TypedDict

from scripts.retell_simulator.vocabulary import AMBIENT_SOUNDS, LANGUAGES, VOICE_MODELS


def _language(value: Any) -> Any:
    codes = value if isinstance(value, list) and value else [value]
    if any(not isinstance(code, str) or code not in LANGUAGES for code in codes):
        raise ValueError("must be equal to one of the allowed values")
    return value


def _one_of(allowed: frozenset[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in allowed:
            raise ValueError("must be equal to one of the allowed values")
        return value

    return AfterValidator(check)


def _sip_header(name: str) -> str:
    if not name.startswith("X-"):
        raise ValueError("custom SIP header must start with X-")
    return name


Text = Annotated[str, Field(min_length=1)]
DetectionPrompt = Annotated[str, Field(max_length=2000)] | None
Unit = Annotated[float, Field(ge=0, le=1)]
ZeroToTwo = Annotated[float, Field(ge=0, le=2)]
Count = Annotated[int, Field(ge=0)]
AgentVersion = Count | Annotated[str, Field(pattern=r"^([a-z0-9_-]{1,20}|latest|latest_published)$")]


class _HangUp(TypedDict):
    type: Literal["hangup"]


class _Spoken(TypedDict):
    type: Literal["prompt", "static_text"]
    text: str


class _Bridge(TypedDict):
    type: Literal["bridge_transfer"]


class VoicemailOption(TypedDict):
    """What to do on voicemail."""

    action: Annotated[_HangUp | _Spoken | _Bridge, Field(discriminator="type")]
    detection_prompt: NotRequired[DetectionPrompt]


class IvrOption(TypedDict):
    """What to do on a phone menu."""

    action: _HangUp
    detection_prompt: NotRequired[DetectionPrompt]


class CallScreeningOption(TypedDict):
    """What to tell a call screener."""

    agent_identity: str
    call_purpose: str


class AgentFields(TypedDict, total=False):
    """`agent_override.agent`."""

    ring_duration_ms: Annotated[int, Field(ge=5000, le=300_000)]
    max_call_duration_ms: Annotated[int, Field(ge=60_000, le=7_200_000)]
    voice_id: Text
    voice_model: Annotated[str, _one_of(VOICE_MODELS)] | None
    voice_speed: Annotated[float, Field(ge=0.5, le=2)]
    voice_temperature: ZeroToTwo
    volume: ZeroToTwo
    language: Annotated[Any, PlainValidator(_language)]
    begin_message_delay_ms: Annotated[int, Field(ge=0, le=5000)]
    voicemail_option: VoicemailOption | None
    ivr_option: IvrOption | None
    call_screening_option: CallScreeningOption | None
    end_call_after_silence_ms: Annotated[int, Field(ge=10_000)]
    enable_dnc_detection: bool
    interruption_sensitivity: Unit
    responsiveness: Unit
    enable_backchannel: bool
    backchannel_frequency: Unit
    backchannel_words: list[str] | None
    reminder_trigger_ms: Annotated[float, Field(gt=0)]
    reminder_max_count: Count
    stt_mode: Literal["fast", "accurate", "custom"]
    denoising_mode: Literal["no-denoise", "noise-cancellation", "noise-and-background-speech-cancellation"]
    denoising_enhancement_level: Unit
    ambient_sound: Annotated[str, _one_of(AMBIENT_SOUNDS)] | None
    ambient_sound_volume: ZeroToTwo
    boosted_keywords: list[str] | None
    webhook_url: Text | None
    webhook_events: list[str] | None
    webhook_timeout_ms: Annotated[int, Field(gt=0)]
    data_storage_setting: Literal["everything", "everything_except_pii", "basic_attributes_only"]
    data_storage_retention_days: Annotated[int, Field(ge=1, le=730)] | None
    opt_in_signed_url: bool
    signed_url_expiration_ms: Count | None
    timezone: Text


class ConversationFlowFields(TypedDict, total=False):
    """`agent_override.conversation_flow`: has no begin_message and no prompt."""

    start_speaker: Literal["user", "agent"]
    begin_after_user_silence_ms: Count | None


class RetellLlmFields(ConversationFlowFields, total=False):
    """`agent_override.retell_llm`: the general prompt is not overridable."""

    begin_message: str | None


class AgentOverride(TypedDict, total=False):
    """`agent_override`."""

    agent: AgentFields
    retell_llm: RetellLlmFields
    conversation_flow: ConversationFlowFields


class _Numbers(TypedDict):
    from_number: Text
    to_number: Text


class CreateRequest(_Numbers, total=False):
    """The body of POST /v2/create-phone-call."""

    override_agent_id: Text
    override_agent_version: AgentVersion
    agent_override: AgentOverride
    metadata: dict[str, Any]
    retell_llm_dynamic_variables: dict[str, str]
    custom_sip_headers: dict[Annotated[str, AfterValidator(_sip_header)], str]
    ignore_e164_validation: bool
    honor_internal_dnc: bool
    idempotency_key: Text
