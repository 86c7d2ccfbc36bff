"""What of a script and a voice will not do what one may think. Said the same before a batch is made and when it is."""

import re
from collections.abc import Iterator
from itertools import islice

from pydantic import BaseModel, ConfigDict

from app.domain.available_variables import AvailableVariables
from app.domain.batches import VoiceSettings
from app.domain.errors import FieldError
from app.domain.messages import Message
from app.domain.tables import shown
from app.domain.variables import PLACEHOLDER, SCRIPT_VARIABLE, placeholders
from app.domain.voice import ignored, voice_errors

FREE_TOKENS = 3500
"""Above so many tokens of prompt, of which the script is one part, Retell scales the price of a call
(docs.retellai.com/accounts/billing-exceptions, rule 2). No limit on the length of a variable is documented."""
MOST_PLACEHOLDERS = 1000
"""With values as long as a cell may be, a request to call is then some 3 MB: a job's document holds it (16 MB)."""
_CHARS_A_TOKEN = 3.5
"""Of Spanish, roughly."""
_SINGLE = re.compile(r"(?<!\{)\{\s*([^\W\d]\w{0,60})\s*\}(?!\})")
_MOST_OF_A_KIND = 20
_EXCERPT_CHARS = 30


class Warned(BaseModel):
    """Something that is accepted; `loc` says where it was asked for."""

    model_config = ConfigDict(frozen=True)

    loc: tuple[str, ...]
    message: Message


def refusals_of(script: str, voice: VoiceSettings) -> list[FieldError]:
    """What a call cannot be placed with."""
    errors = voice_errors(voice)
    if script.count("{{") > MOST_PLACEHOLDERS:
        errors.append(FieldError.of(("script_content",), "script_too_many_variables", limit=MOST_PLACEHOLDERS))
    return errors


def warnings_of(script: str, voice: VoiceSettings, available: AvailableVariables | None = None) -> list[Warned]:
    """Everything that is accepted and yet worth a word; `available` is what the contacts bring, where it is known."""
    of_voice = [Warned(loc=("voice_settings", note.field), message=note.message) for note in ignored(voice)]
    of_script = [Warned(loc=("script_content",), message=message) for message in _of_script(script)]
    if script and available is not None and SCRIPT_VARIABLE in available.gaps:
        replaced = Message(code="script_column_replaced", params={"name": SCRIPT_VARIABLE})
        of_script.append(Warned(loc=("script_content",), message=replaced))
    return [*of_voice, *of_script]


def _of_script(script: str) -> Iterator[Message]:
    if not script.strip():
        if script:
            yield Message(code="script_empty")
        return
    for name in [name for name in placeholders(script) if "|" in name][:_MOST_OF_A_KIND]:
        known, _, written_filter = name.partition("|")
        params = {"name": shown(known.strip()), "filter": shown(written_filter.strip())}
        yield Message(code="script_filter_unknown", params=params)
    if not all(name.strip() for name in PLACEHOLDER.findall(script)):
        yield Message(code="script_placeholder_empty")
    rest = PLACEHOLDER.sub(" ", script)
    for braces, code in (("{{", "script_placeholder_unclosed"), ("}}", "script_placeholder_unopened")):
        if (at := rest.find(braces)) >= 0:
            yield Message(code=code, params={"excerpt": _around(rest, at)})
    for found in islice(_SINGLE.finditer(rest), _MOST_OF_A_KIND):
        yield Message(code="script_single_braces", params={"excerpt": found.group(), "name": found.group(1)})
    tokens = round(len(script) / _CHARS_A_TOKEN)
    if tokens > FREE_TOKENS:
        yield Message(code="script_long", params={"chars": len(script), "tokens": tokens, "free": FREE_TOKENS})


def _around(text: str, at: int) -> str:
    return " ".join(text[max(0, at - _EXCERPT_CHARS // 2) : at + _EXCERPT_CHARS].split())
