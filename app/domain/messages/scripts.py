"""Texts: a script and a voice as they were asked for, what becomes of them, and the call that tries them."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # Variables
    "variables_missing": {
        "es": "Fila {row}: el contacto no tiene valor para {names}. Complételo, o envíe allow_missing_variables.",
        "en": "Row {row}: the contact has no value for {names}. Fill it in, or send allow_missing_variables.",
    },
    "variable_missing_in_some": {
        "es": "Contactos sin valor para {name}: {rows}.",
        "en": "Contacts without a value for {name}: {rows}.",
    },
    "variable_unknown": {
        "es": (
            "Ningún contacto tiene valor para {name}: agregue la columna, quítela del guion, o envíe "
            "allow_missing_variables."
        ),
        "en": (
            "No contact has a value for {name}: add the column, take it out of the script, or send "
            "allow_missing_variables."
        ),
    },
    "variable_misspelt": {
        "es": "Ningún contacto tiene valor para {{{{{name}}}}}. ¿Quiso decir {{{{{suggestion}}}}}?",
        "en": "No contact has a value for {{{{{name}}}}}. Did you mean {{{{{suggestion}}}}}?",
    },
    # The script
    "script_empty": {
        "es": "El guion está vacío: si las instrucciones del agente dicen {{{{script}}}}, lo leerá tal cual.",
        "en": "The script is empty: if the agent's prompt says {{{{script}}}}, it will be spoken as it is.",
    },
    "script_placeholder_unclosed": {
        "es": "Hay llaves {{{{ sin cerrar; se leerían en voz alta: «{excerpt}»",
        "en": "There are braces {{{{ that do not close; they would be spoken: «{excerpt}»",
    },
    "script_placeholder_unopened": {
        "es": "Hay llaves }}}} que nadie abrió; se leerían en voz alta: «{excerpt}»",
        "en": "There are braces }}}} that nothing opens; they would be spoken: «{excerpt}»",
    },
    "script_placeholder_empty": {
        "es": "Hay llaves sin nombre de variable: no se dirá nada en su lugar.",
        "en": "There are braces without the name of a variable: nothing will be said in their place.",
    },
    "script_single_braces": {
        "es": "«{excerpt}» lleva llaves simples y se leería tal cual. Una variable se escribe {{{{{name}}}}}.",
        "en": "«{excerpt}» has single braces and would be spoken as it is. A variable is written {{{{{name}}}}}.",
    },
    "script_filter_unknown": {
        "es": "«{filter}» en {{{{{name}}}}} no existe: no hay filtros. Escriba solo el nombre de la variable.",
        "en": "There is no «{filter}» in {{{{{name}}}}}: there are no filters. Write the variable's name alone.",
    },
    "script_too_many_variables": {
        "es": "El guion usa variables más de {limit} veces. Acórtelo.",
        "en": "The script uses variables more than {limit} times. Shorten it.",
    },
    "script_long": {
        "es": (
            "El guion tiene {chars} caracteres, unos {tokens} tokens. El proveedor de voz cobra más por minuto si "
            "las instrucciones pasan de {free} tokens en total."
        ),
        "en": (
            "The script has {chars} characters, some {tokens} tokens. The voice provider charges more a minute if "
            "the prompt has more than {free} tokens in all."
        ),
    },
    "script_column_replaced": {
        "es": "La columna {name} no llega al agente: con ese nombre recibe el guion. Cámbiele el nombre.",
        "en": "The column {name} does not reach the agent: under that name it gets the script. Rename it.",
    },
    "row_not_callable": {
        "es": "La fila {row} no es un contacto de la lista al que se pueda llamar.",
        "en": "Row {row} is no contact of the list that could be called.",
    },
    # A test call
    "test_call_asked_for": {
        "es": "Llamada de prueba pedida a {phone} (job {job_id})",
        "en": "Test call to {phone} asked for (job {job_id})",
    },
    "test_call_outside_hours": {
        "es": "Llamada de prueba pedida a {phone}, también fuera del horario (job {job_id})",
        "en": "Test call to {phone} asked for, also outside the hours (job {job_id})",
    },
    "test_call_too_late": {
        "es": "La llamada de prueba no se pudo hacer a tiempo y ya no se hará. Pídala de nuevo.",
        "en": "The test call could not be made in time and is not made any more. Ask for it again.",
    },
    "test_call_happens_once": {
        "es": "Una llamada de prueba se hace una sola vez y no se modifica. Pida otra en su batch.",
        "en": "A test call is made once and is not changed. Ask for another one at its batch.",
    },
    "test_call_hours_closed": {
        "es": (
            "Fuera del horario del batch, que abre {opens_at} ({timezone}). Para llamar ahora a un teléfono suyo, "
            "envíe outside_hours."
        ),
        "en": (
            "Outside the batch's hours, which open {opens_at} ({timezone}). To call a phone of your own now, send "
            "outside_hours."
        ),
    },
    "test_call_to_contact": {
        "es": "Ese número es de un contacto de la cuenta: fuera del horario no se le llama, tampoco de prueba.",
        "en": "That number is a contact's of the account: outside the hours it is not called, not as a test either.",
    },
    "test_call_goes_on": {
        "es": "Ya hay una llamada de prueba en curso a ese número.",
        "en": "There is a test call to that number already.",
    },
    "test_calls_too_many": {
        "es": "La cuenta tiene demasiadas llamadas de prueba. Inténtelo de nuevo en {seconds} segundos.",
        "en": "The account has too many test calls. Try again in {seconds} seconds.",
    },
    "test_call_job_elsewhere": {
        "es": "No existe ese job en este batch.",
        "en": "There is no such job in this batch.",
    },
    "test_variable_missing": {
        "es": "El guion usa {name}: envíe su valor en variables, o allow_missing_variables.",
        "en": "The script uses {name}: send its value in variables, or allow_missing_variables.",
    },
    # The voice
    "voice_of_the_agent": {
        "es": "Se usa la voz del agente.",
        "en": "The agent's own voice is used.",
    },
    "voice_setting_sent": {
        "es": "{field} se envía al proveedor de voz: {sent}",
        "en": "{field} is sent to the voice provider: {sent}",
    },
    "voice_pitch_ignored": {
        "es": "voice_settings.pitch no tiene efecto: el proveedor de voz no permite cambiar el tono",
        "en": "voice_settings.pitch has no effect: the voice provider cannot change it",
    },
    "voice_language_mapped": {
        "es": "El proveedor de voz no tiene {asked}: se usa {sent}",
        "en": "The voice provider does not have {asked}: {sent} is used",
    },
    "voice_language_unsupported": {
        "es": "El proveedor de voz no habla «{value}». Idiomas posibles: {supported}; y el español de cada país de "
        "América, como es-CL.",
        "en": "The voice provider does not speak «{value}». Possible languages: {supported}; and the Spanish of every "
        "American country, such as es-CL.",
    },
}
