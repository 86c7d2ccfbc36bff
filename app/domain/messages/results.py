"""Texts: a batch's results as a file, its headers and words."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # Columns
    "result_row": {"es": "Fila", "en": "Row"},
    "result_name": {"es": "Nombre", "en": "Name"},
    "result_phones": {"es": "Teléfono {number}", "en": "Phone {number}"},
    "result_email": {"es": "Correo", "en": "Email"},
    "result_timezone": {"es": "Zona horaria", "en": "Time zone"},
    "result_status": {"es": "Estado", "en": "Status"},
    "result_reason": {"es": "Motivo", "en": "Reason"},
    "result_attempts": {"es": "Intentos", "en": "Attempts"},
    "result_answered_phone": {"es": "Teléfono que contestó", "en": "Phone that answered"},
    "result_cost": {"es": "Costo total", "en": "Total cost"},
    "result_attempt": {"es": "Intento", "en": "Attempt"},
    "result_phone": {"es": "Teléfono llamado", "en": "Phone called"},
    "result_result": {"es": "Resultado de la llamada", "en": "Result of the call"},
    "result_counted": {"es": "Contó como intento", "en": "Counted as an attempt"},
    "result_started": {"es": "Llamada ({timezone})", "en": "Called ({timezone})"},
    "result_started_utc": {"es": "Llamada (UTC)", "en": "Called (UTC)"},
    "result_ended": {"es": "Término ({timezone})", "en": "Ended ({timezone})"},
    "result_ended_utc": {"es": "Término (UTC)", "en": "Ended (UTC)"},
    "result_duration_seconds": {"es": "Duración (segundos)", "en": "Duration (seconds)"},
    "result_billed_seconds": {"es": "Segundos cobrados", "en": "Billed seconds"},
    "result_call_cost": {"es": "Costo de la llamada", "en": "Cost of the call"},
    "result_other_collected": {"es": "Otras variables", "en": "Other variables"},
    "result_summary": {"es": "Resumen", "en": "Summary"},
    "result_recording_url": {"es": "Grabación", "en": "Recording"},
    "result_call_id": {"es": "Id de la llamada", "en": "Call id"},
    "result_job_id": {"es": "Id del job", "en": "Job id"},
    # Words
    "result_yes": {"es": "sí", "en": "yes"},
    "result_no": {"es": "no", "en": "no"},
    "job_status_pending": {"es": "Pendiente", "en": "Pending"},
    "job_status_scheduled": {"es": "Programado", "en": "Scheduled"},
    "job_status_suspended": {"es": "Suspendido", "en": "Suspended"},
    "job_status_in_progress": {"es": "En curso", "en": "In progress"},
    "job_status_completed": {"es": "Completado", "en": "Completed"},
    "job_status_failed": {"es": "Fallido", "en": "Failed"},
    "job_status_cancelled": {"es": "Cancelado", "en": "Cancelled"},
    # The file's and the sheet's name
    "results_per_contact": {"es": "Resultados", "en": "Results"},
    "results_per_attempt": {"es": "Llamadas", "en": "Calls"},
    # Problems
    "file_not_written": {
        "es": (
            "El archivo no se pudo escribir: al servidor le falta espacio temporal o memoria. "
            "Pida menos columnas, o el CSV."
        ),
        "en": (
            "The file could not be written: the server lacks temporary space or memory. "
            "Ask for fewer columns, or the CSV."
        ),
    },
    "results_changed_meanwhile": {
        "es": "Un contacto con el que se había terminado fue llamado de nuevo mientras tanto. Vuelva a descargar.",
        "en": "A contact that was done with was called again meanwhile. Download it again.",
    },
    "results_while_importing": {
        "es": "Los contactos del batch todavía se están cargando. Descargue los resultados cuando termine.",
        "en": "The batch's contacts are still being imported. Download the results when that is done.",
    },
}
