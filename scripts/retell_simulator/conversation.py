"""What was said: transcripts that fit the plan and fill the talk time (retell.md §4)."""

import re
from dataclasses import dataclass
from typing import Any, Literal

_VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_GREETING = "Hola, ¿hablo con {{nombre}}?"
_DIALOGUE: tuple[tuple[Literal["agent", "user"], str], ...] = (
    ("user", "Sí, con él. ¿De dónde llama?"),
    ("agent", "Le llamo por su cuenta. ¿Tiene un momento?"),
    ("user", "Sí, dígame."),
    ("agent", "Muchas gracias. Que tenga un buen día."),
    ("user", "Gracias, hasta luego."),
)
_MONOLOGUE = "¿Hola? ¿Me escucha? Volveremos a llamar más tarde."


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn."""

    role: Literal["agent", "user"]
    content: str


def converse(begin_message: str | None, variables: dict[str, str], *, user_speaks: bool) -> list[Utterance]:
    """The turns of one conversation. An empty begin message lets the user speak first (§2.2)."""
    turns: list[Utterance] = []
    opening = fill(_GREETING if begin_message is None else begin_message, variables)
    if opening:
        turns.append(Utterance("agent", opening))
    if user_speaks:
        turns.extend(Utterance(role, text) for role, text in _DIALOGUE)
    else:
        turns.append(Utterance("agent", _MONOLOGUE))
    return turns


def fill(template: str, variables: dict[str, str]) -> str:
    """Put the dynamic variables in; those not set stay as literal `{{name}}`, as Retell speaks them (§2.1)."""
    return _VARIABLE.sub(lambda match: variables.get(match[1], match[0]), template)


def transcript_text(turns: list[Utterance]) -> str:
    """`transcript`: lines of `Agent: …` and `User: …`."""
    return "".join(f"{turn.role.capitalize()}: {turn.content}\n" for turn in turns)


def transcript_object(turns: list[Utterance], talk_ms: int) -> list[dict[str, Any]]:
    """`transcript_object`: words spread evenly over the talk, in seconds relative to its start."""
    words_total = sum(len(turn.content.split()) for turn in turns)
    step = talk_ms / 1000 / max(words_total, 1)
    result, position = [], 0
    for turn in turns:
        words = []
        for word in turn.content.split():
            start, position = position * step, position + 1
            words.append({"word": word, "start": round(start, 3), "end": round(start + step, 3)})
        result.append({"role": turn.role, "content": turn.content, "words": words})
    return result
