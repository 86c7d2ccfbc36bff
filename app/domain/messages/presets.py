"""Texts: what the rules of each country say, beside the settings that keep them."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    "preset_cl": {
        "es": (
            "Cobranza: a lo más un contacto telefónico por semana y deudor; de lunes a sábado de 8 a 20 horas, salvo "
            "feriados. Un llamado sin respuesta se cuenta como contacto. Desde agosto de 2025 los llamados masivos "
            "usan el prefijo 600 u 809."
        ),
        "en": (
            "Debt collection: at most one phone contact a week and debtor; Monday to Saturday, 8 to 20 h, not on "
            "holidays. An unanswered ring is counted as a contact. Since August 2025 mass calls use the prefix 600 or "
            "809."
        ),
    },
    "preset_ar": {
        "es": (
            "Registro No Llame: consúltelo al menos cada 30 días e impórtelo a la lista de no llamar. Excepciones: "
            "contrato vigente y por su objeto, encuestas, elecciones, emergencias."
        ),
        "en": (
            "No Llame registry: check it at least every 30 days and import it into the do-not-call list. Exceptions: "
            "an existing contract and its object, surveys, elections, emergencies."
        ),
    },
    "preset_mx": {
        "es": (
            "Cobranza: de 7 a 22 horas en la zona del deudor; según la prensa reciente, de lunes a viernes y no en "
            "feriados. No a terceros, menores ni adultos mayores, ni con número oculto."
        ),
        "en": (
            "Debt collection: 7 to 22 h in the debtor's zone; by recent press, Monday to Friday and not on holidays. "
            "Not to third parties, minors or the elderly, nor with a hidden number."
        ),
    },
    "preset_br": {
        "es": (
            "Los estados difieren (SP de 8 a 20 y sábados de 8 a 14, RJ de 9 a 19, ES de 8 a 19; nunca domingos ni "
            "feriados): este es el horario que todos permiten."
        ),
        "en": (
            "The states differ (SP 8 to 20 and Saturdays 8 to 14, RJ 9 to 19, ES 8 to 19; never Sundays or holidays): "
            "these are the hours that all of them allow."
        ),
    },
    "preset_co": {
        "es": (
            "Lunes a viernes de 7 a 19 horas; los sábados, que la ley permite de 8 a 15, quedan fuera. Tras un "
            "contacto directo, a lo más una vez al día."
        ),
        "en": (
            "Monday to Friday, 7 to 19 h; Saturdays, which the law allows from 8 to 15, are left out. After a direct "
            "contact at most once a day."
        ),
    },
    "preset_pe": {
        "es": "Sin llamadas de 20 a 7 horas, ni en sábados, domingos o feriados.",
        "en": "No calls from 20 to 7 h, nor on Saturdays, Sundays or holidays.",
    },
    "preset_us": {
        "es": (
            "Cobranza: a lo más 7 llamados en 7 días, y ninguno en los 7 días tras una conversación; de 8 a 21 horas "
            "en la zona de la persona. Una voz artificial requiere consentimiento previo."
        ),
        "en": (
            "Debt collection: at most 7 calls in 7 days, and none within 7 days after a conversation; 8 am to 9 pm in "
            "the person's zone. An artificial voice needs prior consent."
        ),
    },
    "preset_not_legal_advice": {
        "es": "No es asesoría legal: hágalo revisar antes de usarlo.",
        "en": "Not legal advice: have it checked before you use it.",
    },
}
