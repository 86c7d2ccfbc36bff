"""Texts: erasing and exporting a person's data."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    "person_erased": {
        "es": "Se borraron los datos de la persona; no se la llama",
        "en": "The person's data were erased; they are not called",
    },
    "job_erased": {
        "es": "Los datos de este contacto se borraron: ya no se lo puede llamar.",
        "en": "This contact's data were erased: they cannot be called any more.",
    },
    "erasure_not_found": {
        "es": "No existe el borrado «{erasure_id}».",
        "en": "There is no erasure «{erasure_id}».",
    },
    "person_not_named": {
        "es": "Indique phone o identifier (RUT, DNI), o ambos.",
        "en": "Give phone or identifier (the national id), or both.",
    },
    "identifier_of_nobody": {
        "es": "No es un RUT, DNI ni otro documento: faltan dígitos.",
        "en": "It is no national id: digits are missing.",
    },
    "retention_too_short": {
        "es": "Debe ser 0 (nunca) o al menos {days} días.",
        "en": "Must be 0 (never) or at least {days} days.",
    },
    "person_too_wide": {
        "es": "Eso reúne más de {limit} teléfonos y documentos: son varias personas que comparten un número. Indique "
        "phone e identifier juntos.",
        "en": "That comes to more than {limit} numbers and ids: several persons share a number. Give phone and "
        "identifier together.",
    },
    "erasure_keeps_ledger": {
        "es": "Quedan estados, fechas, duraciones y costos de las llamadas, y los movimientos de la cuenta: son la "
        "contabilidad y las estadísticas, y no dicen de quién eran.",
        "en": "States, times, durations and costs of the calls stay, and so do the account's transactions: they are "
        "the books and the figures, and do not say whose they were.",
    },
    "erasure_keeps_for_ever": {
        "es": "Queda una entrada en la lista de no llamar, sin plazo y sin mostrar el número, para no llamarla más.",
        "en": "An entry stays on the do-not-call list, for good and without showing the number, so that they are never "
        "called again.",
    },
    "erasure_keeps_for_now": {
        "es": "Queda una entrada en la lista de no llamar, sin mostrar el número, mientras los topes de la cuenta "
        "contarían las llamadas borradas.",
        "en": "An entry stays on the do-not-call list, without showing the number, as long as the account's caps would "
        "have counted the erased calls.",
    },
    "erasure_keeps_others": {
        "es": "Quedan los datos de otras personas que comparten un teléfono y tienen otro documento.",
        "en": "The data of others stay who share a telephone and have another id.",
    },
    "erasure_keeps_everybodys_list": {
        "es": "La lista de no llamar de todas las cuentas no se toca: eso lo hace un administrador de todas.",
        "en": "The do-not-call list of all accounts is left as it is: that is for an administrator of all of them.",
    },
    "erasure_keeps_backups": {
        "es": "Las copias de seguridad, los archivos descargados y lo ya enviado a otros sistemas no se alcanzan desde "
        "aquí.",
        "en": "Backups, files that were downloaded and what other systems were told are out of reach from here.",
    },
}
