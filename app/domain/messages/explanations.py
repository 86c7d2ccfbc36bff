"""Texts: why nothing is being called just now (app/domain/explanation.py), and what an estimate cannot know."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # A batch that is not calling
    "batch_is_draft": {
        "es": "Es un borrador sin contactos: agregue contactos para que empiece",
        "en": "It is a draft without contacts: add some and it starts",
    },
    "batch_is_importing": {
        "es": "Se están cargando sus contactos; empieza al terminar",
        "en": "Its contacts are being loaded; it starts when that is done",
    },
    "batch_is_scheduled": {
        "es": "Está programado y todavía no es la hora",
        "en": "It is scheduled, and it is not yet time",
    },
    "batch_is_paused": {
        "es": "Está en pausa hasta que alguien lo reanude",
        "en": "It is paused until somebody resumes it",
    },
    "batch_is_paused_by": {
        "es": "Lo pausó {user}; sigue en pausa hasta que alguien lo reanude",
        "en": "{user} paused it; it stays so until somebody resumes it",
    },
    "waiting_for_due": {
        "es": "Nadie por llamar en este momento: los contactos que quedan esperan su próximo intento",
        "en": "Nobody to call just now: the contacts that are left wait for their next attempt",
    },
    "no_worker": {
        "es": (
            "Hay contactos por llamar, pero ningún proceso de llamadas se ocupa de ellos: están todos detenidos u "
            "ocupados"
        ),
        "en": "There are contacts to call, but no call worker attends to them: all are stopped or busy",
    },
    # A job that waits
    "waiting_its_turn": {
        "es": "Espera su turno: se llama en cuanto haya una línea libre",
        "en": "It waits for its turn: it is called as soon as a line is free",
    },
    "waiting_for_new": {
        "es": "Todavía no es su hora",
        "en": "It is not yet its time",
    },
    "waiting_for_retry": {
        "es": "Espera la hora de su próximo intento",
        "en": "It waits for the time of its next attempt",
    },
    "waiting_for_callback": {
        "es": "Espera la hora a la que el contacto pidió que se le llame",
        "en": "Waits for the time at which the contact asked to be called",
    },
    "waiting_for_hours": {
        "es": "Espera a que abra el horario permitido",
        "en": "It waits for the allowed hours to open",
    },
    "waiting_for_balance": {
        "es": "Espera saldo; continúa al recargar la cuenta",
        "en": "It waits for balance; it goes on when the account is topped up",
    },
    "waiting_for_budget": {
        "es": "Espera presupuesto; continúa al aumentar el presupuesto del batch",
        "en": "It waits for the batch's budget; it goes on when that is raised",
    },
    "waiting_for_provider": {
        "es": "Espera al proveedor de llamadas; no se gastó ningún intento",
        "en": "It waits for the call provider; no attempt was used",
    },
    "waiting_for_person": {
        "es": "Espera a que se pueda volver a llamar a la misma persona",
        "en": "It waits until the same person may be called again",
    },
    # A job in somebody's hands
    "job_is_leased": {
        "es": "Un worker lo tomó y está por llamar",
        "en": "A worker took it and is about to call",
    },
    "job_is_dialing": {
        "es": "Se está pidiendo la llamada",
        "en": "The call is being asked for",
    },
    "job_is_in_call": {
        "es": "La llamada está en curso",
        "en": "The call is under way",
    },
    "job_is_verifying": {
        "es": "Se averigua si el teléfono sonó; hasta saberlo no se vuelve a llamar",
        "en": "It is being found out whether the phone rang; until that is known nobody calls again",
    },
    "job_is_settling": {
        "es": "La llamada terminó; se registran el resultado y el cargo",
        "en": "The call is over; its result and charge are being written",
    },
    "job_is_uncertain": {
        "es": (
            "El proveedor no puede decir si el teléfono sonó; se espera hasta que la llamada tenga que haber terminado"
        ),
        "en": "The provider cannot tell whether the phone rang; waiting until the call must have ended",
    },
    "cancel_after_call": {
        "es": "Se pidió cancelar: si hay una llamada en curso termina sola, y es la última",
        "en": "Cancelling was asked for: a call under way ends by itself, and is the last",
    },
    # When it will end
    "nothing_left": {
        "es": "No queda nadie por llamar",
        "en": "Nobody is left to call",
    },
    "no_window": {
        "es": "El horario permitido no alcanza para terminar dentro de un año",
        "en": "The allowed hours do not suffice to end within a year",
    },
}
