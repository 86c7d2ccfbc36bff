"""Ready-made campaigns: what a list needs, what the agent says, and how to call. To take over, and to change."""

from datetime import time
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from app.domain.batches import CallSettings
from app.domain.calling_hours import CallingHours
from app.domain.holiday_calendar import HolidayCalendar
from app.domain.messages import Message
from app.domain.outcomes import Disposition
from app.domain.retry_rules import RetryRule

_WEEKDAYS = frozenset({1, 2, 3, 4, 5})


class Column(BaseModel):
    """A column of the contact list; its name is the variable's."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: Message
    example: str


class UseCase(BaseModel):
    model_config = ConfigDict(frozen=True)

    use_case_id: str
    required: list[Column]
    optional: list[Column]
    script: str
    """For the agent, in Spanish. It uses required columns, and what every call has."""
    call_settings: CallSettings

    @property
    def name(self) -> Message:
        return Message(code=f"use_case_{self.use_case_id}")

    @property
    def description(self) -> Message:
        return Message(code=f"use_case_{self.use_case_id}_description")


def _column(name: str, example: str) -> Column:
    return Column(name=name, description=Message(code=f"column_{name}"), example=example)


def _hours(start: int, end: int, days: frozenset[int] = _WEEKDAYS) -> CallingHours:
    return CallingHours(
        start=time(start),
        end=time(end),
        days_of_week=days,
        timezone="America/Santiago",
        holidays=HolidayCalendar(country="CL"),
    )


_NAME, _PHONE = _column("nombre", "Juan Pérez"), _column("telefono", "+56912345678")
_USUAL = [_column("telefono_2", "+56987654321"), _column("email", "juan@email.com"), _column("rut", "12345678-5")]
_BUSY_SOON = {Disposition.BUSY: RetryRule(delay_hours=1)}

USE_CASES: Final = [
    UseCase(
        use_case_id="debt_collection",
        required=[_NAME, _PHONE, _column("monto_deuda", "50000"), _column("fecha_vencimiento", "15/10/2025")],
        optional=[*_USUAL, _column("empresa", "Empresa XYZ"), _column("producto", "tarjeta de crédito")],
        script=(
            "Hola, ¿hablo con {{nombre}}? Le llamo de parte de {{empresa}}. Tengo un mensaje personal: confirme que "
            "habla con {{nombre}} antes de mencionar la deuda; si contesta otra persona, no diga el motivo y "
            "despídase. Si es {{nombre}}: «Registramos un saldo pendiente de {{monto_deuda}} pesos, con vencimiento el "
            "{{fecha_vencimiento}}. ¿Cuándo podría pagarlo?» Anote la fecha en fecha_pago_cliente y el monto en "
            "monto_pago_cliente, repítalos para confirmar, agradezca y despídase. Sea cordial, no presione ni amenace. "
            "Si pide que no le llamen más, discúlpese y termine la llamada."
        ),
        # One contact a week and debtor is what Chile's law allows (call_presets.py).
        call_settings=CallSettings(max_call_duration=240, max_attempts=3, retry_delay_hours=168, hours=_hours(9, 20)),
    ),
    UseCase(
        use_case_id="marketing",
        required=[_NAME, _PHONE, _column("oferta", "plan de fibra con 30 % de descuento")],
        optional=[*_USUAL, _column("empresa", "Empresa XYZ"), _column("vigencia", "31/10/2025")],
        script=(
            "Hola {{nombre}}, le llamo de {{empresa}}. ¿Tiene un minuto? Si dice que no, pregunte cuándo puede hablar, "
            "anótelo en hora_contacto_cliente y despídase. Si dice que sí: «Tenemos para usted {{oferta}}.» Responda "
            "sus preguntas con lo que sabe, sin inventar condiciones, y pregunte si le interesa. Anote su respuesta en "
            "interes_cliente, agradezca y despídase. Si pide que no le llamen más, discúlpese y termine la llamada."
        ),
        call_settings=CallSettings(
            max_call_duration=180, max_attempts=2, retry_delay_hours=48, retry_rules=_BUSY_SOON, hours=_hours(10, 19)
        ),
    ),
    UseCase(
        use_case_id="survey",
        required=[_NAME, _PHONE, _column("tema", "su última visita a la sucursal")],
        optional=[*_USUAL, _column("empresa", "Empresa XYZ")],
        script=(
            "Hola {{nombre}}, le llamo de {{empresa}} por {{tema}}. Son tres preguntas y menos de dos minutos, ¿puede "
            "responderlas? Si acepta: 1) De 1 a 7, ¿con qué nota califica su experiencia? Anótela en nota_cliente. "
            "2) ¿Qué fue lo mejor y qué mejoraría? Anótelo en comentario_cliente. 3) ¿Nos recomendaría? Anótelo en "
            "recomienda_cliente. Agradezca y despídase. Si no quiere responder, agradezca y termine la llamada."
        ),
        call_settings=CallSettings(
            max_call_duration=240,
            max_attempts=2,
            retry_delay_hours=24,
            retry_rules=_BUSY_SOON,
            hours=_hours(10, 20, _WEEKDAYS | {6}),
        ),
    ),
    UseCase(
        use_case_id="reminder",
        required=[_NAME, _PHONE, _column("fecha_cita", "28/10/2025"), _column("hora_cita", "10:30")],
        optional=[*_USUAL, _column("empresa", "Clínica XYZ"), _column("lugar", "Av. Providencia 123")],
        script=(
            "Hola {{nombre}}, le llamo de {{empresa}} para recordarle su cita del {{fecha_cita}} a las {{hora_cita}}. "
            "¿Podrá asistir? Anote sí o no en confirma_cliente. Si no puede, pregunte qué día le acomoda, anótelo en "
            "nueva_fecha_cliente y diga que le contactarán para confirmarla. Agradezca y despídase."
        ),
        call_settings=CallSettings(
            max_call_duration=120,
            max_attempts=3,
            retry_delay_hours=3,
            retry_rules={Disposition.BUSY: RetryRule(delay_hours=0.5)},
            hours=_hours(9, 20, _WEEKDAYS | {6}),
        ),
    ),
]


class ProcessingType(StrEnum):
    """What a file is made a batch of: one of USE_CASES, or `basic`, which takes nothing over."""

    BASIC = "basic"
    DEBT_COLLECTION = "debt_collection"
    MARKETING = "marketing"
    SURVEY = "survey"
    REMINDER = "reminder"

    @property
    def use_case(self) -> UseCase | None:
        return next((use_case for use_case in USE_CASES if use_case.use_case_id == self.value), None)
