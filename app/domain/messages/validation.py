"""Texts: what is wrong with a field, by pydantic's type of error with `input_` before it."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    # Presence
    "input_missing": {
        "es": "Falta este campo.",
        "en": "This field is missing.",
    },
    "input_extra_forbidden": {
        "es": "No existe este campo aquí. Revise cómo se escribe.",
        "en": "There is no such field here. Check its spelling.",
    },
    "input_json_invalid": {
        "es": "El cuerpo no es JSON válido: deja de serlo en el carácter {position}.",
        "en": "The body is not valid JSON: it ceases to be at character {position}.",
    },
    "input_value_error": {
        "es": "El valor no es válido.",
        "en": "The value is not valid.",
    },
    # Kinds of values
    "input_string_type": {
        "es": "Debe ser un texto.",
        "en": "It must be a text.",
    },
    "input_string_unicode": {
        "es": "Contiene caracteres que no existen.",
        "en": "It contains characters that do not exist.",
    },
    "input_int_type": {
        "es": "Debe ser un número entero.",
        "en": "It must be an integer.",
    },
    "input_int_parsing": {
        "es": "Debe ser un número entero.",
        "en": "It must be an integer.",
    },
    "input_int_parsing_size": {
        "es": "El número es demasiado grande.",
        "en": "The number is too large.",
    },
    "input_int_from_float": {
        "es": "Debe ser un número entero, sin decimales.",
        "en": "It must be an integer, without decimals.",
    },
    "input_float_type": {
        "es": "Debe ser un número.",
        "en": "It must be a number.",
    },
    "input_float_parsing": {
        "es": "Debe ser un número.",
        "en": "It must be a number.",
    },
    "input_decimal_type": {
        "es": "Debe ser un número.",
        "en": "It must be a number.",
    },
    "input_decimal_parsing": {
        "es": "Debe ser un número.",
        "en": "It must be a number.",
    },
    "input_bool_type": {
        "es": "Debe ser true o false.",
        "en": "It must be true or false.",
    },
    "input_bool_parsing": {
        "es": "Debe ser true o false.",
        "en": "It must be true or false.",
    },
    "input_list_type": {
        "es": "Debe ser una lista.",
        "en": "It must be a list.",
    },
    "input_dict_type": {
        "es": "Debe ser un objeto.",
        "en": "It must be an object.",
    },
    "input_model_type": {
        "es": "Debe ser un objeto.",
        "en": "It must be an object.",
    },
    "input_model_attributes_type": {
        "es": "Debe ser un objeto JSON, con Content-Type application/json.",
        "en": "It must be a JSON object, with Content-Type application/json.",
    },
    "input_none_required": {
        "es": "Debe ser null.",
        "en": "It must be null.",
    },
    "input_enum": {
        "es": "Debe ser uno de: {expected}.",
        "en": "It must be one of: {expected}.",
    },
    "input_literal_error": {
        "es": "Debe ser uno de: {expected}.",
        "en": "It must be one of: {expected}.",
    },
    # Bounds
    "input_greater_than": {
        "es": "Debe ser mayor que {gt}.",
        "en": "It must be more than {gt}.",
    },
    "input_greater_than_equal": {
        "es": "Debe ser {ge} o más.",
        "en": "It must be {ge} or more.",
    },
    "input_less_than": {
        "es": "Debe ser menor que {lt}.",
        "en": "It must be less than {lt}.",
    },
    "input_less_than_equal": {
        "es": "Debe ser {le} o menos.",
        "en": "It must be {le} or less.",
    },
    "input_finite_number": {
        "es": "Debe ser un número finito.",
        "en": "It must be a finite number.",
    },
    "input_decimal_max_places": {
        "es": "Admite hasta {decimal_places} decimales.",
        "en": "It takes at most {decimal_places} decimals.",
    },
    "input_decimal_max_digits": {
        "es": "Admite hasta {max_digits} dígitos.",
        "en": "It takes at most {max_digits} digits.",
    },
    "input_string_too_short": {
        "es": "Debe tener {min_length} caracteres o más.",
        "en": "It must have {min_length} characters or more.",
    },
    "input_string_too_long": {
        "es": "Debe tener {max_length} caracteres o menos.",
        "en": "It must have {max_length} characters or fewer.",
    },
    "input_string_pattern_mismatch": {
        "es": "No tiene la forma esperada: {pattern}",
        "en": "It does not have the expected form: {pattern}",
    },
    "input_too_short": {
        "es": "Debe tener {min_length} elementos o más.",
        "en": "It must have {min_length} items or more.",
    },
    "input_too_long": {
        "es": "Debe tener {max_length} elementos o menos.",
        "en": "It must have {max_length} items or fewer.",
    },
    "input_decimal_whole_digits": {
        "es": "Admite hasta {whole_digits} dígitos antes de los decimales.",
        "en": "It takes at most {whole_digits} digits before the decimals.",
    },
    # Dates
    "input_date_type": {
        "es": "Debe ser una fecha ISO 8601, como 2025-11-03.",
        "en": "It must be an ISO 8601 date, such as 2025-11-03.",
    },
    "input_date_parsing": {
        "es": "Debe ser una fecha ISO 8601, como 2025-11-03.",
        "en": "It must be an ISO 8601 date, such as 2025-11-03.",
    },
    "input_date_from_datetime_parsing": {
        "es": "Debe ser una fecha ISO 8601, como 2025-11-03.",
        "en": "It must be an ISO 8601 date, such as 2025-11-03.",
    },
    "input_date_from_datetime_inexact": {
        "es": "Debe ser una fecha ISO 8601, como 2025-11-03.",
        "en": "It must be an ISO 8601 date, such as 2025-11-03.",
    },
    "input_datetime_type": {
        "es": "Debe ser una fecha y hora ISO 8601, como 2025-11-03T09:00:00-03:00.",
        "en": "It must be an ISO 8601 date and time, such as 2025-11-03T09:00:00-03:00.",
    },
    "input_datetime_parsing": {
        "es": "Debe ser una fecha y hora ISO 8601, como 2025-11-03T09:00:00-03:00.",
        "en": "It must be an ISO 8601 date and time, such as 2025-11-03T09:00:00-03:00.",
    },
    "input_datetime_from_date_parsing": {
        "es": "Debe ser una fecha y hora ISO 8601, como 2025-11-03T09:00:00-03:00.",
        "en": "It must be an ISO 8601 date and time, such as 2025-11-03T09:00:00-03:00.",
    },
    "input_datetime_object_invalid": {
        "es": "Debe ser una fecha y hora ISO 8601, como 2025-11-03T09:00:00-03:00.",
        "en": "It must be an ISO 8601 date and time, such as 2025-11-03T09:00:00-03:00.",
    },
    "input_timezone_aware": {
        "es": "Le falta la zona: termine la hora en Z o en una diferencia como -03:00.",
        "en": "Its offset is missing: end the time with Z or an offset such as -03:00.",
    },
}
