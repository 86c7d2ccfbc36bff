"""Texts: ready-made campaigns and the columns of their lists."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    "use_case_debt_collection": {"es": "Cobranza", "en": "Debt collection"},
    "use_case_debt_collection_description": {
        "es": "Recuerda una deuda a su titular y anota cuándo y cuánto pagará. Un intento por semana y deudor.",
        "en": "Reminds debtors of a debt and notes when and how much they will pay. One attempt a week and debtor.",
    },
    "use_case_marketing": {"es": "Promoción", "en": "Marketing"},
    "use_case_marketing_description": {
        "es": "Ofrece algo y anota si interesa. Pocos intentos, y revise antes la lista de no llamar.",
        "en": "Makes an offer and notes who is interested. Few attempts; check the do-not-call list first.",
    },
    "use_case_survey": {"es": "Encuesta", "en": "Survey"},
    "use_case_survey_description": {
        "es": "Tres preguntas cortas; las respuestas quedan en cada job.",
        "en": "Three short questions; the answers are kept with each job.",
    },
    "use_case_reminder": {"es": "Recordatorio de cita", "en": "Appointment reminder"},
    "use_case_reminder_description": {
        "es": "Recuerda una cita y anota si la persona asistirá. Vuelve a llamar el mismo día.",
        "en": "Reminds people of an appointment and notes whether they will come. Calls again on the same day.",
    },
    "column_nombre": {"es": "Nombre de la persona", "en": "The person's name"},
    "column_telefono": {"es": "Teléfono, de preferencia con código de país", "en": "Phone, best with country code"},
    "column_telefono_2": {"es": "Otro teléfono de la persona", "en": "Another phone of the person"},
    "column_email": {"es": "Correo electrónico", "en": "Email address"},
    "column_rut": {"es": "RUT o documento de identidad", "en": "National id"},
    "column_empresa": {
        "es": "En nombre de quién se llama; sin ella, el nombre de la cuenta",
        "en": "On whose behalf the call is made; without it the account's name",
    },
    "column_monto_deuda": {"es": "Monto adeudado", "en": "Amount owed"},
    "column_fecha_vencimiento": {"es": "Fecha de vencimiento", "en": "Due date"},
    "column_producto": {"es": "Producto del que viene la deuda", "en": "The product that the debt is from"},
    "column_oferta": {"es": "Lo que se ofrece", "en": "What is offered"},
    "column_vigencia": {"es": "Hasta cuándo vale la oferta", "en": "Until when the offer holds"},
    "column_tema": {"es": "Sobre qué es la encuesta", "en": "What the survey is about"},
    "column_fecha_cita": {"es": "Fecha de la cita", "en": "Date of the appointment"},
    "column_hora_cita": {"es": "Hora de la cita", "en": "Time of the appointment"},
    "column_lugar": {"es": "Dónde es la cita", "en": "Where the appointment is"},
}
