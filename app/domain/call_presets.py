"""What the laws on calling people ask of caps and hours, country by country, as settings to take over or not.

Not legal advice: read through press and law firms where no law is named, at the addresses given (field.md §3).
"""

from datetime import time

from pydantic import BaseModel, ConfigDict

from app.domain.messages import Message
from app.domain.person_caps import CapCounts, CapPeriod, PersonCap

_MONDAY_TO_FRIDAY = frozenset({1, 2, 3, 4, 5})


class PresetHours(BaseModel):
    """Hours of a batch's `call_settings`, in the called person's own time zone."""

    model_config = ConfigDict(frozen=True)

    start: time
    end: time
    days_of_week: frozenset[int]
    timezone: str
    """Where most of the country lives; a contact elsewhere has its own."""
    holidays: bool
    """Whether the country's public holidays are kept."""


class CallPreset(BaseModel):
    """The strict reading of one country's rules."""

    model_config = ConfigDict(frozen=True)

    country: str
    """ISO 3166-1, two letters."""
    rule: Message
    sources: list[str]
    person_caps: list[PersonCap] = []
    hours: PresetHours | None = None


def _rolling(counts: CapCounts, maximum: int, days: int) -> PersonCap:
    return PersonCap(counts=counts, max=maximum, period=CapPeriod.ROLLING, days=days)


PRESETS = [
    CallPreset(
        country="CL",
        # Whether a ring that nobody answers is a contact is not settled: the strict reading says it is.
        rule=Message(code="preset_cl"),
        sources=[
            "Ley 21.320 (Ley 19.496 art. 37): garrigues.com, Chile aprueba ley limita acciones cobranza extrajudicial",
            "actualidadjuridica.doe.cl/ley-establece-reglas-en-materia-de-cobranza-extrajudicial",
            "CPC art. 59: conceptosjuridicos.com/cl/dias-habiles/",
            "poderambiental.cl/otros-recursos/como-se-cuentan-los-plazos/",
        ],
        person_caps=[_rolling(CapCounts.ATTEMPTS, 1, 7)],
        hours=PresetHours(
            start=time(8),
            end=time(20),
            days_of_week=_MONDAY_TO_FRIDAY | {6},
            timezone="America/Santiago",
            holidays=True,
        ),
    ),
    CallPreset(
        country="AR",
        rule=Message(code="preset_ar"),
        sources=["Ley 26.951 No Llame: losandes.com.ar; palermonline.com.ar"],
    ),
    CallPreset(
        country="MX",
        rule=Message(code="preset_mx"),
        sources=["DOF 7 Oct 2014: idconline.mx; tribunademexico.com; infobae 2025; elfinanciero"],
        hours=PresetHours(
            start=time(7),
            end=time(22),
            days_of_week=_MONDAY_TO_FRIDAY,
            timezone="America/Mexico_City",
            holidays=True,
        ),
    ),
    CallPreset(
        country="BR",
        rule=Message(code="preset_br"),
        sources=["CDC arts. 42, 71: efic.com.br/?p=368; portaldoholanda; odia.ig.com.br"],
        hours=PresetHours(
            start=time(9),
            end=time(19),
            days_of_week=_MONDAY_TO_FRIDAY,
            timezone="America/Sao_Paulo",
            holidays=True,
        ),
    ),
    CallPreset(
        country="CO",
        rule=Message(code="preset_co"),
        sources=["Ley 2300/2023: mazars.com.co; lafm.com.co"],
        person_caps=[PersonCap(counts=CapCounts.CONVERSATIONS, max=1, period=CapPeriod.DAY)],
        hours=PresetHours(
            start=time(7),
            end=time(19),
            days_of_week=_MONDAY_TO_FRIDAY,
            timezone="America/Bogota",
            holidays=True,
        ),
    ),
    CallPreset(
        country="PE",
        rule=Message(code="preset_pe"),
        sources=["Ley 29571 art. 62: elegirservicio.pe; elcomercio.pe"],
        hours=PresetHours(
            start=time(7),
            end=time(20),
            days_of_week=_MONDAY_TO_FRIDAY,
            timezone="America/Lima",
            holidays=True,
        ),
    ),
    CallPreset(
        country="US",
        rule=Message(code="preset_us"),
        sources=[
            "Reg F, 12 CFR 1006.14: consumerfinance.gov/rules-policy/regulations/1006/14/",
            "FDCPA/TCPA hours: natlawreview; plainstamp.pages.dev; consumerfinanceinsights.com",
        ],
        person_caps=[_rolling(CapCounts.ATTEMPTS, 7, 7), _rolling(CapCounts.CONVERSATIONS, 1, 7)],
        hours=PresetHours(
            start=time(8),
            end=time(21),
            days_of_week=frozenset(range(7)),
            timezone="America/New_York",
            holidays=False,
        ),
    ),
]
