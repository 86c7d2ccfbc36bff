"""Texts: the log of a batch, and the lines of the ledger."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # The batch's life
    "draft_created": {
        "es": "Batch creado como borrador, sin contactos",
        "en": "Batch created as a draft, without contacts",
    },
    "batch_created": {
        "es": "Batch creado con {jobs} jobs",
        "en": "Batch created with {jobs} jobs",
    },
    "contacts_added": {
        "es": "Contactos agregados: {added}; omitidos por estar ya en el batch: {skipped}",
        "en": "Contacts added: {added}; skipped because they are in the batch already: {skipped}",
    },
    "contacts_removed": {
        "es": "Importación deshecha: {removed} contactos retirados; {kept} quedan porque ya se les llamó",
        "en": "Import undone: {removed} contacts removed; {kept} stay because they were called already",
    },
    "left_out_for_undone": {
        "es": (
            "La lista «{filename}» omitió {rows} filas ({numbers}) porque sus personas estaban en la lista «{undone}», "
            "que se deshizo. Súbala de nuevo a este batch: solo se agrega a quienes no están"
        ),
        "en": (
            "The list «{filename}» left out {rows} rows ({numbers}) because their persons were in the list «{undone}», "
            "which was undone. Upload it to this batch again: only who is not there is added"
        ),
    },
    "upload_gone": {
        "es": "La importación no se pudo terminar: la lista subida ya no existe. Súbala de nuevo",
        "en": "The import could not be completed: the uploaded list is gone. Upload it again",
    },
    "import_broke": {
        "es": "La importación no se pudo terminar por un error interno. Suba la lista de nuevo",
        "en": "The import could not be completed because of an internal error. Upload the list again",
    },
    "batch_started": {
        "es": "Batch iniciado automáticamente",
        "en": "Batch started automatically",
    },
    "batch_paused_by_user": {
        "es": "Batch pausado",
        "en": "Batch paused",
    },
    "batch_unblocked": {
        "es": "Lo que impedía llamar terminó; continúan las llamadas",
        "en": "What kept it from calling is over; calls go on",
    },
    "batch_resumed": {
        "es": "Batch reanudado",
        "en": "Batch resumed",
    },
    "batch_edited": {
        "es": "Batch modificado: {fields}",
        "en": "Batch changed: {fields}",
    },
    "batch_cancelled": {
        "es": "Batch cancelado",
        "en": "Batch cancelled",
    },
    "batch_completed": {
        "es": "Batch completado",
        "en": "Batch completed",
    },
    "variables_renamed": {
        "es": (
            "El proveedor de voz reserva los nombres {names}: el agente recibe esas columnas con el prefijo {prefix}. "
            "En el guion se usan igual."
        ),
        "en": (
            "The voice provider reserves the names {names}: the agent gets those columns with the prefix {prefix}. "
            "Scripts use them as they are."
        ),
    },
    "run_started": {
        "es": "Ejecución {run} iniciada con {jobs} jobs",
        "en": "Run {run} started with {jobs} jobs",
    },
    "run_skipped": {
        "es": "Ejecución omitida: la anterior ({run}) no ha terminado",
        "en": "Run skipped: the one before ({run}) has not ended",
    },
    "runs_missed": {
        "es": "Ejecuciones omitidas porque no había workers: {count}",
        "en": "Runs missed because there was no worker: {count}",
    },
    "series_completed": {
        "es": "No quedan más ejecuciones",
        "en": "No run is left",
    },
    "balance_low": {
        "es": "Sin saldo suficiente en la cuenta: las llamadas esperan una recarga",
        "en": "Not enough balance in the account: calls wait for a top-up",
    },
    "balance_back": {
        "es": "La cuenta tiene saldo de nuevo: las llamadas continúan",
        "en": "The account has balance again: calls go on",
    },
    # Its jobs
    "job_retried": {
        "es": "Nuevo intento pedido para el job {job_id}",
        "en": "Another attempt asked for job {job_id}",
    },
    "job_cancelled": {
        "es": "Job {job_id} cancelado",
        "en": "Job {job_id} cancelled",
    },
    "attempt_had_several_calls": {
        "es": (
            "El job {job_id} tuvo más de una llamada en un intento. Se cortó la {extra_call_id}; sigue la {call_id}."
        ),
        "en": (
            "Job {job_id} had more than one call in one attempt. Call {extra_call_id} was stopped; {call_id} goes on."
        ),
    },
    # The ledger
    "initial_balance": {
        "es": "Saldo inicial",
        "en": "Initial balance",
    },
    "topup": {
        "es": "Recarga",
        "en": "Top-up",
    },
    "call_usage": {
        "es": "Llamada de {seconds} s (job {job_id})",
        "en": "Call of {seconds} s (job {job_id})",
    },
}
