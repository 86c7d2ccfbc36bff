"""The one catalogue of texts that an operator reads: Spanish by default, English on request.

A text is stored and passed on as its `Message` (code and parameters) and rendered at the edge, so the same batch log
reads in the language of whoever asks. Each module beside this one holds one subject's texts.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.domain.messages import (
    access,
    errors,
    events,
    explanations,
    imports,
    presets,
    privacy,
    reasons,
    results,
    scripts,
    timeline,
    use_cases,
    validation,
    webhooks,
)

Language = Literal["es", "en"]
DEFAULT_LANGUAGE: Language = "es"

CATALOGUE: Mapping[str, Mapping[Language, str]] = {
    **access.TEXTS,
    **errors.TEXTS,
    **events.TEXTS,
    **explanations.TEXTS,
    **imports.TEXTS,
    **presets.TEXTS,
    **privacy.TEXTS,
    **reasons.TEXTS,
    **results.TEXTS,
    **scripts.TEXTS,
    **timeline.TEXTS,
    **use_cases.TEXTS,
    **validation.TEXTS,
    **webhooks.TEXTS,
}

_WORDS = {"outcome": "after_", "counts": "cap_counts_", "period": "cap_period_"}
"""Parameters whose values are words of ours: where in the catalogue their texts stand."""


class Message(BaseModel):
    """A text by its code in the catalogue and the values of its `{placeholders}`."""

    model_config = ConfigDict(frozen=True)

    code: str
    params: dict[str, Any] = {}

    def render(self, language: Language = DEFAULT_LANGUAGE) -> str:
        return render(self.code, language, **self.params)


def render(code: str, language: Language = DEFAULT_LANGUAGE, **params: Any) -> str:
    """The text of `code` in `language`.

    Raises KeyError for a code or a parameter that the catalogue does not know: a programming error that the
    catalogue's own test finds.
    """
    words = {name: CATALOGUE.get(f"{prefix}{params[name]}") for name, prefix in _WORDS.items() if name in params}
    said = {name: texts[language] for name, texts in words.items() if texts is not None}
    return CATALOGUE[code][language].format_map(params | said)
