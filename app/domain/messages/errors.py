"""Texts: what a request cannot have, and what to do about it."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # Titles of problems, by status
    "title_400": {
        "es": "Solicitud mal formada",
        "en": "Malformed request",
    },
    "title_404": {
        "es": "No encontrado",
        "en": "Not found",
    },
    "title_405": {
        "es": "Método no permitido",
        "en": "Method not allowed",
    },
    "title_409": {
        "es": "Conflicto",
        "en": "Conflict",
    },
    "title_413": {
        "es": "Contenido demasiado grande",
        "en": "Content too large",
    },
    "title_422": {
        "es": "Datos no válidos",
        "en": "Invalid input",
    },
    "title_500": {
        "es": "Error interno",
        "en": "Internal error",
    },
    "title_503": {
        "es": "Servicio no disponible",
        "en": "Service unavailable",
    },
    # The request itself
    "route_not_found": {
        "es": "No existe la ruta {path}. Las rutas están en /docs.",
        "en": "There is no route {path}. See /docs for those that exist.",
    },
    "method_not_allowed": {
        "es": "La ruta {path} no admite {method}. El encabezado Allow dice qué admite.",
        "en": "{path} does not take {method}. The Allow header says what it takes.",
    },
    "metrics_not_for_you": {
        "es": (
            "Las métricas piden METRICS_TOKEN como Authorization: Bearer; sin él solo se leen desde el mismo equipo."
        ),
        "en": (
            "The metrics ask for METRICS_TOKEN as Authorization: Bearer; without one they are read from the same "
            "machine only."
        ),
    },
    "worker_not_found": {
        "es": "No existe el worker «{worker_id}»; los que pararon hace más de un día se olvidan.",
        "en": "There is no worker “{worker_id}”; those that stopped more than a day ago are forgotten.",
    },
    "worker_not_at_work": {
        "es": "El worker «{worker_id}» ya no trabaja: no hay nada que vaciar.",
        "en": "The worker “{worker_id}” is not at work any more: there is nothing to drain.",
    },
    "webhook_key_missing": {
        "es": "Este servidor no puede comprobar webhooks: falta RETELL_WEBHOOK_KEY (o RETELL_API_KEY).",
        "en": "This server cannot verify webhooks: RETELL_WEBHOOK_KEY (or RETELL_API_KEY) is not set.",
    },
    "webhook_signature_invalid": {
        "es": "La firma X-Retell-Signature no corresponde al cuerpo, o tiene más de cinco minutos.",
        "en": "The signature X-Retell-Signature does not match the body, or is older than five minutes.",
    },
    "webhook_unreadable": {
        "es": "El cuerpo no es un evento de una llamada de Retell.",
        "en": "The body is not an event of a Retell call.",
    },
    "malformed_request": {
        "es": "No se pudo leer la solicitud. Revise que el cuerpo corresponda a su Content-Type.",
        "en": "The request could not be read. Check that its body is what its Content-Type says.",
    },
    "invalid_json": {
        "es": "El cuerpo no es JSON válido.",
        "en": "The body is not valid JSON.",
    },
    "body_too_large": {
        "es": (
            "El cuerpo supera los {limit_mb} MB. Envíe la lista de contactos como archivo (POST "
            "/api/v1/batches/excel/preview)."
        ),
        "en": (
            "The body is larger than {limit_mb} MB. Send the contacts as a file (POST /api/v1/batches/excel/preview)."
        ),
    },
    "internal_error": {
        "es": (
            "Ocurrió un error inesperado. Inténtelo de nuevo; si persiste, avise con el valor del encabezado "
            "X-Request-ID."
        ),
        "en": (
            "Something unexpected happened. Try again; if it stays, report it with the value of the X-Request-ID "
            "header."
        ),
    },
    "database_unavailable": {
        "es": "La base de datos no responde. No se hizo ningún cambio; inténtelo de nuevo en unos segundos.",
        "en": "The database does not answer. Nothing was changed; try again in a few seconds.",
    },
    "data_being_migrated": {
        "es": "Los datos se están llevando a la versión {version}. No se hizo ningún cambio; inténtelo más tarde.",
        "en": "The data is being brought to version {version}. Nothing was changed; try again later.",
    },
    "indexes_being_built": {
        "es": "La base de datos construye índices; hay que esperar a que termine.",
        "en": "The database is building indexes; wait until it is done.",
    },
    "data_outdated": {
        "es": (
            "Los datos tienen la versión {version} y este programa necesita la {needed}: quien opera el sistema debe "
            "ejecutar python -m scripts.migrate."
        ),
        "en": (
            "The data is of version {version}, and this code needs {needed}: whoever operates the system has to run "
            "python -m scripts.migrate."
        ),
    },
    "invalid_input": {
        "es": "{first} (y {more} más)",
        "en": "{first} (and {more} more)",
    },
    "idempotency_key_reused": {
        "es": "La Idempotency-Key «{key}» ya se usó con otra solicitud. Use una nueva para una solicitud distinta.",
        "en": "The Idempotency-Key «{key}» was used with another request. Use a new one for a different request.",
    },
    # Accounts
    "account_not_found": {
        "es": "No existe la cuenta «{account_id}».",
        "en": "There is no account «{account_id}».",
    },
    "account_exists": {
        "es": "Ya existe una cuenta con el id «{account_id}». Elija otro, o no envíe account_id.",
        "en": "There is an account with the id «{account_id}» already. Choose another, or send no account_id.",
    },
    "call_settings_belong_to_batch": {
        "es": "Una cuenta no tiene call_settings: pertenecen al batch. Envíelos en POST /api/v1/batches.",
        "en": "An account has no call_settings: they belong to the batch. Send them with POST /api/v1/batches.",
    },
    "wrong_unit_for_plan": {
        "es": "El plan {plan_type} no se paga en esta unidad.",
        "en": "The plan {plan_type} is not paid in this unit.",
    },
    "topup_amount_missing": {
        "es": "Indique cuánto se compró, en {unit}: debe ser mayor que 0.",
        "en": "Say how much was bought, in {unit}: it must be more than 0.",
    },
    "status_and_is_active_differ": {
        "es": "status e is_active dicen cosas distintas. Envíe uno solo.",
        "en": "status and is_active contradict each other. Send one of them.",
    },
    "suspension_reason_of_active": {
        "es": "La cuenta queda activa, así que no hay motivo de suspensión. Envíe también status «suspended».",
        "en": "The account stays active, so there is no reason of suspension. Send status «suspended» too.",
    },
    "email_not_an_address": {
        "es": "«{value}» no es un correo electrónico.",
        "en": "«{value}» is not an e-mail address.",
    },
    "account_id_malformed": {
        "es": "«{value}» no sirve como id: use hasta 63 letras, dígitos, guiones y guiones bajos.",
        "en": "«{value}» cannot be an id: use up to 63 letters, digits, hyphens and underscores.",
    },
    "number_not_e164": {
        "es": "«{value}» no es un número E.164, como +56225550100.",
        "en": "«{value}» is not an E.164 number, such as +56225550100.",
    },
    "country_not_iso": {
        "es": "«{value}» no es un código de país ISO 3166 de dos letras, como CL.",
        "en": "«{value}» is not a two-letter ISO 3166 country code, such as CL.",
    },
    "phone_unusable": {
        "es": "«{phone}» no es un teléfono. Escríbalo con + y el código de país.",
        "en": "«{phone}» is not a phone number. Write it with + and the country code.",
    },
    "holidays_country_unknown": {
        "es": "No se conocen los feriados de «{value}». Hay de: {supported}.",
        "en": "The holidays of «{value}» are not known. Known are those of: {supported}.",
    },
    "holidays_subdivision_unknown": {
        "es": "No se conocen los feriados de «{value}» en {country}. Hay de: {supported}.",
        "en": "The holidays of «{value}» in {country} are not known. Known are those of: {supported}.",
    },
    "too_many_time_zones": {
        "es": "Los contactos tienen más de {limit} zonas horarias distintas. Divida la lista en varios batches.",
        "en": "The contacts have more than {limit} different time zones. Split the list into several batches.",
    },
    "time_zone_unknown": {
        "es": "«{value}» no es una zona horaria IANA, como America/Santiago.",
        "en": "«{value}» is not an IANA time zone, such as America/Santiago.",
    },
    # Batches
    "batch_not_found": {
        "es": "No existe el batch «{batch_id}».",
        "en": "There is no batch «{batch_id}».",
    },
    "batch_not_changeable": {
        "es": "El batch está en estado «{status}» y ya no admite este cambio.",
        "en": "The batch is «{status}» and no longer takes this change.",
    },
    "batch_not_deletable": {
        "es": "El batch está en estado «{status}». Cancélelo primero y elimínelo después.",
        "en": "The batch is «{status}». Cancel it first, then delete it.",
    },
    "batch_has_calls": {
        "es": "El batch tiene llamadas en curso ({count}). Elimínelo cuando terminen.",
        "en": "The batch has calls in progress ({count}). Delete it when they have ended.",
    },
    "batch_has_runs": {
        "es": "La ejecución «{run}» de este batch no ha terminado. Cancélela, o espere a que termine.",
        "en": "The run «{run}» of this batch has not ended. Cancel it, or wait for its end.",
    },
    "batch_was_deleted": {
        "es": "El batch «{batch_id}», creado con esta Idempotency-Key, fue eliminado. Para crear otro use otra clave.",
        "en": "The batch «{batch_id}» that this Idempotency-Key made was deleted. To create another, use another key.",
    },
    "batch_changed_meanwhile": {
        "es": "El batch cambió de estado en este momento. Vuelva a leerlo e inténtelo de nuevo.",
        "en": "The batch changed its state just now. Read it again and retry.",
    },
    "still_importing": {
        "es": (
            "Otra solicitud con la misma Idempotency-Key está creando el batch «{batch_id}». Inténtelo de nuevo "
            "en unos segundos."
        ),
        "en": (
            "Another request with the same Idempotency-Key is creating the batch «{batch_id}». Try again in a "
            "few seconds."
        ),
    },
    "import_undone": {
        "es": "La importación se interrumpió por demasiado tiempo y se deshizo. Envíe la solicitud de nuevo.",
        "en": "The import was interrupted for too long and was undone. Send the request again.",
    },
    "import_in_progress": {
        "es": "Otra importación de contactos está en curso en este batch («{import_id}»). Inténtelo cuando termine.",
        "en": "Another import of contacts into this batch is under way («{import_id}»). Retry when it is over.",
    },
    "import_not_found": {
        "es": "No existe la importación «{import_id}» en este batch.",
        "en": "There is no import «{import_id}» in this batch.",
    },
    "priority_unknown": {
        "es": "La prioridad es low, normal, high o urgent, o un entero de 1 a 4.",
        "en": "The priority is low, normal, high or urgent, or an integer from 1 to 4.",
    },
    "time_not_hh_mm": {
        "es": "«{value}» no es una hora HH:MM entre 00:00 y 23:59.",
        "en": "«{value}» is not a time HH:MM between 00:00 and 23:59.",
    },
    "days_of_week_empty": {
        "es": "Elija al menos un día: 1 es lunes … 6 sábado, 0 domingo.",
        "en": "Choose at least one day: 1 is Monday … 6 Saturday, 0 Sunday.",
    },
    "instant_out_of_range": {
        "es": "La fecha está fuera de todo rango posible.",
        "en": "The date is out of any possible range.",
    },
    "phone_needs_account": {
        "es": "Para buscar por teléfono indique también la cuenta (account_id).",
        "en": "To search by phone name the account too (account_id).",
    },
    "search_needs_account": {
        "es": "Para buscar contactos indique también la cuenta (account_id).",
        "en": "To search for contacts name the account too (account_id).",
    },
    "search_unusable": {
        "es": "«{value}» no sirve para buscar: escriba el comienzo de un nombre, un RUT o DNI, o un teléfono.",
        "en": "«{value}» cannot be searched for: write the beginning of a name, a national id, or a phone.",
    },
    "search_too_wide": {
        "es": "Hay más de {limit} contactos así. Escriba más del nombre, o el RUT o teléfono completo.",
        "en": "There are more than {limit} such contacts. Write more of the name, or the whole national id or phone.",
    },
    "date_malformed": {
        "es": "«{value}» no es una fecha: escriba AAAA-MM-DD o un instante como 2025-10-24T10:00:00Z.",
        "en": "“{value}” is no date: write YYYY-MM-DD or an instant such as 2025-10-24T10:00:00Z.",
    },
    "date_range_unusable": {
        "es": "El término debe ser igual o posterior al inicio, y el período de {days} días a lo más.",
        "en": "The end must not be before the start, and the span at most {days} days.",
    },
    "parameter_unknown": {
        "es": "Este parámetro no existe aquí. Los que hay: {known}.",
        "en": "There is no such parameter here. Those that there are: {known}.",
    },
    "parameters_none": {
        "es": "Esta dirección no admite parámetros.",
        "en": "This address takes no parameters.",
    },
    "cursor_malformed": {
        "es": "El cursor no es válido. Use el del encabezado Link de la página anterior, tal como viene.",
        "en": "The cursor is not valid. Use that of the `Link` header of the page before, as it is.",
    },
    "skip_too_far": {
        "es": "A lo más se pueden saltar {limit} filas; para ir más atrás siga el encabezado Link.",
        "en": "At most {limit} rows can be skipped; to go further back follow the `Link` header.",
    },
    "scheduled_at_missing": {
        "es": "Un batch «scheduled» necesita scheduled_at, con fecha, hora y zona.",
        "en": "A «scheduled» batch needs scheduled_at, with date, time and offset.",
    },
    "scheduled_at_not_wanted": {
        "es": "scheduled_at solo vale con schedule_type «scheduled» o «recurring».",
        "en": "scheduled_at goes with schedule_type «scheduled» or «recurring» only.",
    },
    "scheduled_at_past": {
        "es": "scheduled_at ya pasó. Elija un momento futuro, o schedule_type «immediate».",
        "en": "scheduled_at is in the past. Choose a time to come, or schedule_type «immediate».",
    },
    "scheduled_at_too_far": {
        "es": "scheduled_at está a más de {days} días. Revise el año.",
        "en": "scheduled_at is more than {days} days ahead. Check the year.",
    },
    "recurring_config_missing": {
        "es": "Un batch «recurring» necesita recurring_config: frequency e interval.",
        "en": "A «recurring» batch needs recurring_config: frequency and interval.",
    },
    "recurring_config_not_wanted": {
        "es": "recurring_config solo vale con schedule_type «recurring».",
        "en": "recurring_config goes with schedule_type «recurring» only.",
    },
    "recurring_needs_contacts": {
        "es": "Un batch «recurring» necesita sus contactos: envíe contacts o upload_id.",
        "en": "A «recurring» batch needs its contacts: send contacts or upload_id.",
    },
    "recurring_until_before_start": {
        "es": "until es anterior al primer inicio: no habría ninguna ejecución.",
        "en": "until is before the first start: there would be no run.",
    },
    # Contacts of a request
    "contacts_or_upload": {
        "es": "Envíe contacts o upload_id, no ambos.",
        "en": "Send contacts or upload_id, not both.",
    },
    "upload_not_found": {
        "es": "No existe la carga «{upload_id}» en esta cuenta, o ya venció. Suba el archivo de nuevo.",
        "en": "There is no upload «{upload_id}» of this account, or it has expired. Upload the file again.",
    },
    "row_is_duplicate": {
        "es": "Es la misma persona que la fila {first_row} (por su RUT, DNI o teléfono): se omite.",
        "en": "This is the same person as row {first_row} (by national id or phone): left out.",
    },
    "person_in_active_batch": {
        "es": "Esta persona ya está en el batch «{batch_id}», que sigue activo: se omite.",
        "en": "This person is in the batch «{batch_id}», which is active: left out.",
    },
    "no_callable_contact": {
        "es": "No hay ningún contacto al que se pueda llamar.",
        "en": "There is no contact that could be called.",
    },
    "not_an_object": {
        "es": "Debe ser un objeto con los campos del contacto.",
        "en": "It must be an object with the contact's fields.",
    },
    "field_json_invalid": {
        "es": "No es JSON válido. Revise comillas, comas y llaves.",
        "en": "It is not valid JSON. Check its quotes, commas and braces.",
    },
    "not_a_text": {
        "es": "Debe ser un texto o un número.",
        "en": "It must be a text or a number.",
    },
    "text_too_long": {
        "es": "El texto supera los {limit} caracteres.",
        "en": "The text is longer than {limit} characters.",
    },
    "bad_field_name": {
        "es": "El nombre del campo no sirve: hasta {limit} caracteres, y no puede empezar con $.",
        "en": "This is no name for a field: at most {limit} characters, not starting with $.",
    },
    "too_many_field_names": {
        "es": "Los contactos tienen en total más de {limit} campos distintos. ¿Hay datos en lugar de nombres?",
        "en": "The contacts have more than {limit} different fields in all. Are there data in the place of names?",
    },
    "too_many_custom_fields": {
        "es": "El contacto tiene más de {limit} campos propios.",
        "en": "The contact has more than {limit} custom fields.",
    },
    "cap_days_missing": {
        "es": "Un tope «rolling» necesita days: de cuántos días.",
        "en": "A «rolling» cap needs days: of how many.",
    },
    "cap_days_not_wanted": {
        "es": "days solo vale con period «rolling».",
        "en": "days goes with period «rolling» only.",
    },
    # The do-not-call list
    "from_number_not_suspected": {
        "es": "El número {from_number} no descansa ni está bajo sospecha.",
        "en": "The number {from_number} neither rests nor is under suspicion.",
    },
    "do_not_call_entry_not_found": {
        "es": "No existe la entrada «{entry_id}» en la lista de no llamar.",
        "en": "There is no entry «{entry_id}» on the do-not-call list.",
    },
    "expires_at_past": {
        "es": "expires_at ya pasó. Elija un momento futuro, o no lo envíe para que no venza.",
        "en": "expires_at is in the past. Choose a time to come, or leave it out for good.",
    },
    "too_many_streams": {
        "es": (
            "Hay demasiados seguimientos en vivo abiertos a la vez con este usuario o clave. Cierre alguno, o "
            "inténtelo de nuevo en {seconds} segundos."
        ),
        "en": (
            "Too many live streams are open at once with this user or key. Close one, or try again in {seconds} "
            "seconds."
        ),
    },
    "too_many_files": {
        "es": "Se están preparando demasiados archivos a la vez. Inténtelo de nuevo en {seconds} segundos.",
        "en": "Too many files are being made at once. Try again in {seconds} seconds.",
    },
    # Jobs
    "job_not_found": {
        "es": "No existe el job «{job_id}».",
        "en": "There is no job «{job_id}».",
    },
    "job_not_retryable": {
        "es": "El job está en estado «{status}»: no se puede volver a llamar.",
        "en": "The job is «{status}»: it cannot be called again.",
    },
    "job_changed_meanwhile": {
        "es": "El job cambió de estado en este momento. Vuelva a leerlo e inténtelo de nuevo.",
        "en": "The job changed its state just now. Read it again and retry.",
    },
    "job_not_cancellable": {
        "es": "El job ya terminó en estado «{status}»: no hay nada que cancelar.",
        "en": "The job has ended as «{status}»: there is nothing to cancel.",
    },
}
