"""Texts: who may do what."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    "title_401": {
        "es": "Identificación necesaria",
        "en": "Not authenticated",
    },
    "title_403": {
        "es": "Sin permiso",
        "en": "Not allowed",
    },
    "title_429": {
        "es": "Demasiadas solicitudes",
        "en": "Too many requests",
    },
    "token_missing": {
        "es": "Falta la credencial: inicie sesión (POST /api/v1/auth/login) o envíe una clave de API en Authorization.",
        "en": "Credentials are missing: log in (POST /api/v1/auth/login) or send an API key in Authorization.",
    },
    "token_not_valid": {
        "es": "La credencial no es válida o ya venció. Renueve la sesión o revise la clave de API.",
        "en": "The credentials are not valid, or no longer. Refresh the session or check the API key.",
    },
    "ticket_not_valid": {
        "es": "El ticket no es de este batch o ya venció. Pida otro con POST …/events/ticket.",
        "en": "The ticket is not for this batch, or has expired. Get another with POST …/events/ticket.",
    },
    "session_over": {
        "es": "La sesión terminó. Inicie sesión de nuevo.",
        "en": "The session is over. Log in again.",
    },
    "login_failed": {
        "es": "El correo o la contraseña no son correctos.",
        "en": "The email or the password is wrong.",
    },
    "login_locked": {
        "es": "Demasiados intentos fallidos. Espere {seconds} segundos antes de intentarlo de nuevo.",
        "en": "Too many failed tries. Wait {seconds} seconds before the next one.",
    },
    "too_many_requests": {
        "es": "Demasiadas solicitudes. Espere {seconds} segundos.",
        "en": "Too many requests. Wait {seconds} seconds.",
    },
    "not_permitted": {
        "es": "El rol «{role}» no permite esta operación.",
        "en": 'The role "{role}" does not allow this.',
    },
    "not_permitted_for_scope": {
        "es": "Esta operación afecta a todas las cuentas y su acceso se limita a algunas.",
        "en": "This concerns every account, and your access is limited to some.",
    },
    "email_taken": {
        "es": "Ya existe un usuario con el correo «{email}».",
        "en": 'There is already a user with the email "{email}".',
    },
    "user_not_found": {
        "es": "No existe el usuario «{user_id}».",
        "en": 'There is no user "{user_id}".',
    },
    "api_key_not_found": {
        "es": "No existe la clave de API «{key_id}».",
        "en": 'There is no API key "{key_id}".',
    },
    "last_admin": {
        "es": "Es el último administrador activo: cree otro antes de quitarle el rol, el acceso o el alcance.",
        "en": "This is the last active administrator: create another one first.",
    },
    "not_a_user": {
        "es": "Esta operación es para personas; una clave de API no tiene contraseña ni perfil.",
        "en": "This is for people; an API key has no password and no profile.",
    },
}
