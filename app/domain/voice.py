"""What of `voice_settings` reaches the call. Nothing is dropped in silence: each setting is sent, mapped to the nearest
that the provider has, left to the agent, or said to have no effect; what has no equivalent at all is refused.

The facts are Retell's (retell.md §2.2-2.3).
"""

from collections.abc import Iterator
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.batches import VoiceSettings
from app.domain.errors import FieldError
from app.domain.messages import Message


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LANGUAGES = _words(
    """
    af-ZA ar-SA az-AZ bg-BG bs-BA ca-ES cs-CZ cy-GB da-DK de-DE el-GR en-AU en-GB en-IN en-NZ en-US es-419 es-ES
    fa-IR fi-FI fil-PH fr-CA fr-FR gl-ES he-IL hi-IN hr-HR hu-HU hy-AM id-ID is-IS it-IT ja-JP kk-KZ kn-IN ko-KR
    lt-LT lv-LV mk-MK mr-IN ms-MY ne-NP nl-BE nl-NL no-NO pl-PL pt-BR pt-PT ro-RO ru-RU sk-SK sl-SI sr-RS sv-SE
    sw-KE ta-IN th-TH tr-TR uk-UA ur-IN vi-VN yue-CN zh-CN
    """
)
"""Every code that the provider takes."""
_LATIN_AMERICAN = "es-419"
_SPANISH_AMERICA = _words("AR BO CL CO CR CU DO EC GT HN MX NI PA PE PR PY SV US UY VE")
_BARE = {"en": "en-US", "es": _LATIN_AMERICAN, "fr": "fr-FR", "nl": "nl-NL", "pt": "pt-BR"}
"""A language without a country, where the provider has several of it."""
_BY_LOWER = {code.lower(): code for code in LANGUAGES}
_AGENTS_OWN = "default"


class Effect(StrEnum):
    SENT = "sent"
    MAPPED = "mapped"
    """Sent as the nearest that the provider has."""
    AGENTS_OWN = "agents_own"
    """Nothing is sent: as the agent is set up at the provider."""
    IGNORED = "ignored"
    """Accepted for the contract's sake; the provider has nothing of the kind."""


class VoiceNote(BaseModel):
    """What becomes of one of the voice settings."""

    model_config = ConfigDict(frozen=True)

    field: str
    asked: str | float
    sent: str | float | None = None
    """What the provider gets; None: nothing."""
    effect: Effect
    message: Message


def provider_language(language: str) -> str | None:
    """The provider's code for ours: its own in any writing (`ES_es`); Latin American Spanish for every country that
    speaks it (there is no es-CL); for a bare language the usual one, or the only one. None if it has none."""
    code = _folded(language)
    base, _, country = code.partition("-")
    if code in _BY_LOWER:
        return _BY_LOWER[code]
    if base == "es" and country.upper() in _SPANISH_AMERICA:
        return _LATIN_AMERICAN
    if country:
        return None
    only = [known for known in LANGUAGES if known.partition("-")[0] == base]
    return _BARE.get(base) or (only[0] if len(only) == 1 else None)


def provider_voice_id(voice: VoiceSettings) -> str | None:
    """None keeps the agent's own voice."""
    return None if voice.voice_id.strip().lower() == _AGENTS_OWN else voice.voice_id


def voice_notes(voice: VoiceSettings) -> list[VoiceNote]:
    """What becomes of each setting. A language that `voice_errors` refuses is left out."""
    return list(_notes(voice))


def ignored(voice: VoiceSettings) -> list[VoiceNote]:
    """What is accepted without effect: worth a warning, whereas what has an equivalent is not."""
    return [note for note in _notes(voice) if note.effect is Effect.IGNORED]


def voice_errors(voice: VoiceSettings) -> list[FieldError]:
    """What a call cannot be placed with."""
    if provider_language(voice.language) is not None:
        return []
    supported = ", ".join(LANGUAGES)
    loc = ("voice_settings", "language")
    return [FieldError.of(loc, "voice_language_unsupported", value=voice.language, supported=supported)]


def _notes(voice: VoiceSettings) -> Iterator[VoiceNote]:
    voice_id = provider_voice_id(voice)
    if voice_id is None:
        own = Message(code="voice_of_the_agent")
        yield VoiceNote(field="voice_id", asked=voice.voice_id, effect=Effect.AGENTS_OWN, message=own)
    else:
        yield _sent("voice_id", voice_id, voice_id)
    yield _sent("speed", voice.speed, voice.speed)
    yield _sent("volume", voice.volume, voice.volume)
    if voice.pitch:
        ignored = Message(code="voice_pitch_ignored")
        yield VoiceNote(field="pitch", asked=voice.pitch, effect=Effect.IGNORED, message=ignored)
    language = provider_language(voice.language)
    if language is not None and _same(language, voice.language):
        yield _sent("language", voice.language, language)
    elif language is not None:
        mapped = Message(code="voice_language_mapped", params={"asked": voice.language, "sent": language})
        yield VoiceNote(field="language", asked=voice.language, sent=language, effect=Effect.MAPPED, message=mapped)


def _sent(field: str, asked: str | float, sent: str | float) -> VoiceNote:
    message = Message(code="voice_setting_sent", params={"field": field, "sent": sent})
    return VoiceNote(field=field, asked=asked, sent=sent, effect=Effect.SENT, message=message)


def _same(code: str, written: str) -> bool:
    return code.lower() == _folded(written)


def _folded(written: str) -> str:
    return written.strip().replace("_", "-").lower()
