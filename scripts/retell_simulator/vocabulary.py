"""Retell's words: the values that are allowed where a string is one of several (retell.md §2.2, §2.3, §4.1)."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENDED_REASONS = _words(
    """
    user_hangup agent_hangup call_transfer voicemail_reached ivr_reached inactivity
    max_duration_reached user_requested_dnc user_requested_callback no_concurrency_fallback
    transfer_bridged transfer_cancelled manual_stopped call_take_over
    """
)
NOT_CONNECTED_REASONS = _words(
    """
    dial_busy dial_no_answer dial_failed user_declined invalid_destination
    telephony_provider_permission_denied telephony_provider_unavailable sip_routing_error
    marked_as_spam network_blocked
    """
)
ERROR_REASONS = _words(
    """
    concurrency_limit_reached no_valid_payment credit_exhausted budget_reached scam_detected
    error_llm_websocket_open error_llm_websocket_lost_connection error_llm_websocket_runtime
    error_llm_websocket_corrupt_payload error_no_audio_received error_asr error_retell error_unknown
    error_user_not_joined registered_call_timeout
    """
)
ALL_REASONS = ENDED_REASONS | NOT_CONNECTED_REASONS | ERROR_REASONS

LANGUAGES = _words(
    """
    en-US en-IN en-GB en-AU en-NZ de-DE es-ES es-419 hi-IN fr-FR fr-CA ja-JP pt-PT pt-BR zh-CN ru-RU
    it-IT ko-KR nl-NL nl-BE pl-PL tr-TR vi-VN ro-RO bg-BG ca-ES th-TH da-DK fi-FI el-GR hu-HU id-ID
    no-NO sk-SK sv-SE lt-LT lv-LV cs-CZ ms-MY af-ZA ar-SA az-AZ bs-BA cy-GB fa-IR fil-PH gl-ES he-IL
    hr-HR hy-AM is-IS kk-KZ kn-IN mk-MK mr-IN ne-NP sl-SI sr-RS sw-KE ta-IN ur-IN yue-CN uk-UA
    """
)
VOICE_MODELS = _words(
    """
    eleven_flash_v2 eleven_flash_v2_5 eleven_multilingual_v2 eleven_v3 eleven_v3_conversational
    eleven_v4 eleven_v4_turbo sonic-3 sonic-3-latest sonic-3.5 sonic-3.6 tts-1 gpt-4o-mini-tts
    speech-02-turbo speech-2.8-turbo s1 s2-pro s2.1-pro inworld-tts-2 inworld-tts-2-flash
    """
)
AMBIENT_SOUNDS = _words(
    """
    coffee-shop convention-hall summer-outdoor mountain-outdoor static-noise call-center
    """
)
UNCHECKED_AGENT_KEYS = _words(
    """
    agent_name allow_dtmf_interruption allow_user_dtmf contact_memory_config custom_stt_config
    enable_dynamic_responsiveness enable_dynamic_voice_speed enable_expressive_mode
    expressive_emotion_tags expressive_mode_prompt fallback_voice_ids guardrail_config
    handbook_config pii_config post_call_analysis_data post_call_analysis_model post_session_tools
    pre_session_tools pronunciation_dictionary response_engine user_dtmf_options version_description
    version_title vocab_specialization
    """
)
UNCHECKED_ENGINE_KEYS = _words(
    """
    model_config model model_temperature model_high_priority s2s_model tool_call_strict_mode
    knowledge_base_ids kb_config
    """
)
