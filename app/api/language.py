"""Which of our languages a request asks for: Spanish unless English is wanted more."""

from app.domain.messages import DEFAULT_LANGUAGE, Language

LANGUAGES: tuple[Language, ...] = ("es", "en")


def language_of(accept_language: str | None) -> Language:
    """The best match of an Accept-Language header (RFC 9110 §12.5.4); Spanish where it says nothing of ours."""
    wanted: dict[str, tuple[float, int]] = {}
    for place, part in enumerate((accept_language or "").split(",")):
        name, _, parameters = part.partition(";")
        # Of "es-CL" and "es-AR" only the language counts: the catalogue has one Spanish.
        primary = name.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if primary and quality > wanted.get(primary, (-1.0, 0))[0]:
            wanted[primary] = (quality, -place)
    ranked = [(wanted.get(language, wanted.get("*", (0.0, 0))), language) for language in LANGUAGES]
    best, language = max(ranked, key=lambda entry: entry[0])
    return language if best[0] > 0 else DEFAULT_LANGUAGE


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
