"""Texts: why a job or a batch waits, or why it ended as it did."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # Not now
    "import_was_undone": {
        "es": "Se deshizo la importación del contacto",
        "en": "The contact's import was undone",
    },
    "hours_closed": {
        "es": "Fuera del horario permitido; continúa cuando abra",
        "en": "Outside the allowed hours; goes on when they open",
    },
    "outside_hours": {
        "es": "Fuera del horario permitido; se llamará desde {opens_at} ({timezone})",
        "en": "Outside the allowed hours; called from {opens_at} ({timezone}) on",
    },
    "holiday_today": {
        "es": "Hoy es feriado",
        "en": "Today is a holiday",
    },
    "on_holiday": {
        "es": "Es feriado; se llamará desde {opens_at} ({timezone})",
        "en": "It is a holiday; called from {opens_at} ({timezone}) on",
    },
    "no_balance": {
        "es": "Sin saldo suficiente; continúa al recargar la cuenta",
        "en": "Not enough balance; goes on when the account is topped up",
    },
    "budget_exhausted": {
        "es": "El presupuesto del batch no alcanza para otra llamada; continúa si se aumenta",
        "en": "The batch's budget does not cover another call; goes on when it is raised",
    },
    "account_suspended": {
        "es": "La cuenta está suspendida; continúa cuando se reactive",
        "en": "The account is suspended; goes on when it is active again",
    },
    "account_unreadable": {
        "es": "Los datos de la cuenta no se pueden leer",
        "en": "The account's data cannot be read",
    },
    "at_limit": {
        "es": "Se alcanzó el máximo de {limit} llamadas simultáneas de la cuenta",
        "en": "The account's maximum of {limit} simultaneous calls is reached",
    },
    "from_number_resting": {
        "es": "El número {from_number} descansa hasta {until} ({timezone}): sus últimas llamadas terminaron mal",
        "en": "The number {from_number} rests until {until} ({timezone}): its last calls ended badly",
    },
    "from_number_suspect_trunk": {
        "es": "El número {from_number} descansa: {count} destinos distintos seguidos figuran como inválidos. Revise la "
        "troncal y el formato de los números; esos teléfonos pueden ser válidos, aunque no se les vuelva a llamar",
        "en": "The number {from_number} rests: {count} different destinations in a row are said to be invalid. Check "
        "the trunk and the format of the numbers; those phones may be valid, though they are not called again",
    },
    "from_number_blocked": {
        "es": "El número {from_number} descansa: la red bloqueó {count} de sus últimas {of} llamadas (spam o ruta)",
        "en": "The number {from_number} rests: the network blocked {count} of its last {of} calls (spam or routing)",
    },
    "from_number_failing": {
        "es": "El número {from_number} descansa: fallaron {count} de sus últimas {of} llamadas",
        "en": "The number {from_number} rests: {count} of its last {of} calls failed",
    },
    "at_provider_limit": {
        "es": "Se alcanzó el máximo de {limit} llamadas simultáneas del proveedor",
        "en": "The provider's maximum of {limit} simultaneous calls is reached",
    },
    "batch_not_running": {
        "es": "El batch dejó de estar en marcha (estado: {status})",
        "en": "The batch is no longer running (status: {status})",
    },
    "person_in_another_call": {
        "es": "La misma persona está en otra llamada de la cuenta; se espera a que termine",
        "en": "The same person is in another call of the account; it waits for that to end",
    },
    "on_do_not_call_list_until": {
        "es": "Sus teléfonos están en la lista de no llamar; se llamará desde {until} ({timezone})",
        "en": "Its numbers are on the do-not-call list; called from {until} ({timezone}) on",
    },
    "person_cap_reached": {
        "es": (
            "Se alcanzó el tope para esta persona: {max} {counts} en {days} {period}; se llamará desde {until} "
            "({timezone})"
        ),
        "en": (
            "The cap for this person is reached: {max} {counts} in {days} {period}; called from {until} ({timezone}) on"
        ),
    },
    "cap_counts_attempts": {
        "es": "intento(s)",
        "en": "attempt(s)",
    },
    "cap_counts_conversations": {
        "es": "conversación(es)",
        "en": "conversation(s)",
    },
    "cap_period_day": {
        "es": "día calendario",
        "en": "calendar day",
    },
    "cap_period_rolling": {
        "es": "día(s) corridos",
        "en": "rolling day(s)",
    },
    "provider_waited_for": {
        "es": "El proveedor de llamadas no está disponible: {detail}",
        "en": "The call provider is not available: {detail}",
    },
    "provider_hold": {
        "es": "Se espera al proveedor de llamadas, que no respondió o pidió llamar más despacio",
        "en": "The call provider is waited for: it did not answer, or asked to go slower",
    },
    "admission_failed": {
        "es": "No se pudo decidir si se puede llamar ({error}); se intentará de nuevo",
        "en": "It could not be decided whether to call ({error}); it is tried again",
    },
    # Not any more
    "max_attempts_reached": {
        "es": "Máximo de intentos ({attempts}): no se pudo hablar con el contacto",
        "en": "Maximum of attempts ({attempts}): the contact could not be reached",
    },
    "retry_rule_reached": {
        "es": "{times} intento(s) con resultado «{outcome}»: la regla del batch no permite otro",
        "en": "{times} attempt(s) that ended as «{outcome}»: the batch's rule allows no other",
    },
    "no_phone_left": {
        "es": "No queda ningún teléfono válido del contacto: los que tenía no existen o no se pueden llamar",
        "en": "No valid phone number of the contact is left: those it had do not exist or cannot be called",
    },
    "on_do_not_call_list": {
        "es": "Sus teléfonos están en la lista de no llamar",
        "en": "Its numbers are on the do-not-call list",
    },
    "no_allowed_time": {
        "es": "No se conoce ningún momento permitido próximo; revise el horario y los feriados",
        "en": "No allowed time is known in the near future; check the hours and the holidays",
    },
    "cancelled_by_operator": {
        "es": "Cancelado por un operador",
        "en": "Cancelled by an operator",
    },
    "contact_opted_out": {
        "es": "El contacto pidió que no se le llame más",
        "en": "The contact asked not to be called any more",
    },
    "stopped_by_provider": {
        "es": "Detenido por el proveedor de llamadas: {detail}",
        "en": "Stopped by the call provider: {detail}",
    },
    # Why somebody is on the do-not-call list
    "own_words": {
        "es": "{text}",
        "en": "{text}",
    },
    "asked_in_a_call": {
        "es": "Pidió en una llamada que no se le llame más (job {job_id})",
        "en": "Asked in a call not to be called any more (job {job_id})",
    },
    "marked_at_retell": {
        "es": "Retell tiene el número marcado para no llamar (job {job_id})",
        "en": "Retell has the number marked not to be called (job {job_id})",
    },
    # After a call
    "after_answered": {
        "es": "Contestó",
        "en": "Answered",
    },
    "callback_requested": {
        "es": "Pidió que se le llame el {at} ({timezone})",
        "en": "Asked to be called on {at} ({timezone})",
    },
    "after_callback_requested": {
        "es": "Pidió que se le llame más tarde",
        "en": "Asked to be called later",
    },
    "after_opted_out": {
        "es": "Pidió que no se le llame más",
        "en": "Asked not to be called any more",
    },
    "after_voicemail": {
        "es": "Contestó un buzón de voz",
        "en": "A voicemail answered",
    },
    "after_silence": {
        "es": "Se conectó, pero nadie habló",
        "en": "Connected, but nobody spoke",
    },
    "after_no_answer": {
        "es": "No contestó",
        "en": "Not answered",
    },
    "after_busy": {
        "es": "Ocupado",
        "en": "Busy",
    },
    "after_declined": {
        "es": "Rechazó la llamada",
        "en": "The call was declined",
    },
    "after_failed": {
        "es": "La llamada no se pudo conectar",
        "en": "The call could not be connected",
    },
    "after_invalid_number": {
        "es": "El número no existe",
        "en": "The number does not exist",
    },
    "after_provider_trouble": {
        "es": "La llamada se cortó por un problema del proveedor de llamadas",
        "en": "The call broke off because of a problem of the call provider",
    },
    "after_blocked": {
        "es": "La red bloqueó la llamada desde nuestro número",
        "en": "The network blocked the call from our number",
    },
    "after_stopped_by_provider": {
        "es": "El proveedor de llamadas se negó a llamar, por lo que el batch quedó en pausa",
        "en": "The call provider refused to call, so the batch was paused",
    },
    "after_unknown": {
        "es": "No se supo cómo terminó la llamada",
        "en": "It is not known how the call ended",
    },
}
