"""What of the voice settings reaches the call, and what is said of the rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.batches import VoiceSettings
from app.domain.voice import (
    LANGUAGES,
    Effect,
    ignored,
    provider_language,
    provider_voice_id,
    voice_errors,
    voice_notes,
)
from scripts.retell_simulator import vocabulary


def test_the_languages_are_the_simulators_which_are_retells() -> None:
    assert set(LANGUAGES) == set(vocabulary.LANGUAGES)
    assert len(LANGUAGES) == len(set(LANGUAGES)) == 63


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_of_the_provider_is_itself_however_it_is_written(code: str) -> None:
    assert {provider_language(written) for written in (code, code.lower(), code.replace("-", "_").upper())} == {code}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("es-CL", "es-419"),
        ("es_MX", "es-419"),
        ("es", "es-419"),
        ("pt", "pt-BR"),
        ("it", "it-IT"),
        ("zh", "zh-CN"),
        ("es-GQ", None),
        ("es-YY", None),
        ("it-CH", None),
        ("xx-YY", None),
        ("xx", None),
        ("--", None),
        ("  ", None),
    ],
)
def test_other_languages_are_mapped_to_the_nearest_or_there_is_none(ours: str, theirs: str | None) -> None:
    assert provider_language(ours) == theirs


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, {"voice_id": Effect.AGENTS_OWN, "language": Effect.MAPPED}),
        ({"voice_id": " Default"}, {"voice_id": Effect.AGENTS_OWN, "language": Effect.MAPPED}),
        ({"voice_id": "v1", "language": "ES-es"}, {"voice_id": Effect.SENT, "language": Effect.SENT}),
        ({"pitch": -2}, {"voice_id": Effect.AGENTS_OWN, "pitch": Effect.IGNORED, "language": Effect.MAPPED}),
        ({"language": "xx-YY"}, {"voice_id": Effect.AGENTS_OWN}),
    ],
)
def test_every_setting_has_its_note(changes: dict[str, Any], notes: dict[str, Effect]) -> None:
    found = {note.field: note.effect for note in voice_notes(VoiceSettings(**changes))}
    assert found == notes | {"speed": Effect.SENT, "volume": Effect.SENT}


voices = st.builds(
    VoiceSettings,
    voice_id=st.sampled_from(["default", "DEFAULT", "11labs-Ana"]),
    pitch=st.sampled_from([0, -10, 2.5]),
    language=st.one_of(st.sampled_from(["es-CL", "en-US", "xx-YY", "es", "pt"]), st.text(min_size=2, max_size=20)),
)


@given(voices)
def test_nothing_is_dropped_in_silence(voice: VoiceSettings) -> None:
    """Each setting is sent as it was asked for, or somebody is told."""
    notes = {note.field: note for note in voice_notes(voice)}
    told = {note.field for note in notes.values() if note.effect in {Effect.MAPPED, Effect.IGNORED}}
    told |= {str(error.loc[-1]) for error in voice_errors(voice)}
    assert {note.field for note in ignored(voice)} == ({"pitch"} if voice.pitch else set())
    for field, asked in voice.model_dump().items():
        note = notes.get(field)
        as_asked = note is not None and str(note.sent).lower() == str(asked).strip().replace("_", "-").lower()
        unchanged = (field, asked) == ("pitch", 0) or (field == "voice_id" and provider_voice_id(voice) is None)
        assert as_asked or unchanged or field in told
    for note in notes.values():
        assert note.message.render("es")
        assert note.message.render("en")
