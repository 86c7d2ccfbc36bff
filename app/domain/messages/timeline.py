"""Texts: what happened to a job, event by event. Times, reasons and results stand beside the text."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    "timeline_created": {
        "es": "Contacto agregado al batch",
        "en": "Contact added to the batch",
    },
    "timeline_claimed": {
        "es": "Un worker lo tomó para llamar",
        "en": "A worker took it to call",
    },
    "timeline_refused": {
        "es": "No se llamó; no se gastó ningún intento",
        "en": "Not called; no attempt was used",
    },
    "timeline_put_back": {
        "es": "Devuelto a la cola sin llamar, porque el worker se detuvo; no se gastó ningún intento",
        "en": "Put back without calling, because the worker stopped; no attempt was used",
    },
    "timeline_intent_stored": {
        "es": "Intento {attempt}: se pide la llamada al teléfono {phone}",
        "en": "Attempt {attempt}: the call to phone {phone} is asked for",
    },
    "timeline_withdrawn": {
        "es": "La llamada no salió; no se gastó ningún intento",
        "en": "The call was not placed; no attempt was used",
    },
    "timeline_in_call": {
        "es": "Llamada en curso",
        "en": "The call is under way",
    },
    "timeline_verifying": {
        "es": "No se sabe si el teléfono sonó; se averigua antes de volver a llamar",
        "en": "It is not known whether the phone rang; this is found out before anybody calls again",
    },
    "timeline_found": {
        "es": "Se encontró la llamada: existe y se sigue hasta el final",
        "en": "The call was found: it exists and is followed to its end",
    },
    "timeline_uncertain": {
        "es": "El proveedor no pudo decir si sonó; se espera hasta que la llamada tenga que haber terminado",
        "en": "The provider could not tell whether it rang; waiting until the call must have ended",
    },
    "timeline_settling": {
        "es": "La llamada terminó; se registran el resultado y el cargo",
        "en": "The call is over; its result and charge are being written",
    },
    "timeline_retry_scheduled": {
        "es": "Se volverá a llamar",
        "en": "It will be called again",
    },
    "timeline_completed": {
        "es": "Terminado: se habló con el contacto",
        "en": "Finished: the contact was reached",
    },
    "timeline_failed": {
        "es": "Terminado sin haber hablado con el contacto",
        "en": "Finished without reaching the contact",
    },
    "timeline_cancelled": {
        "es": "Cancelado",
        "en": "Cancelled",
    },
    "timeline_adopted": {
        "es": "Otro worker continúa lo que dejó {left_by}",
        "en": "Another worker goes on with what {left_by} left",
    },
    "timeline_adopted_unsure": {
        "es": "Otro worker continúa lo que dejó {left_by}, y averigua si el teléfono llegó a sonar",
        "en": "Another worker goes on with what {left_by} left, and finds out whether the phone rang",
    },
    "timeline_resumed": {
        "es": "El mismo worker continúa lo que había dejado",
        "en": "The same worker goes on with what it had left",
    },
    "timeline_resumed_unsure": {
        "es": "El mismo worker continúa lo que había dejado, y averigua si el teléfono llegó a sonar",
        "en": "The same worker goes on with what it had left, and finds out whether the phone rang",
    },
    "timeline_handed_over": {
        "es": "El worker se detiene y deja que otro continúe",
        "en": "The worker stops and lets another go on",
    },
    "timeline_cancel_requested": {
        "es": "Se pidió cancelar; si hay una llamada en curso, es la última",
        "en": "Cancelling was asked for; a call under way is the last",
    },
    "timeline_retried": {
        "es": "Se pidió un nuevo intento",
        "en": "Another attempt was asked for",
    },
}
