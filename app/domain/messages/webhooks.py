"""Texts: webhooks that we send."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {
    "webhook_not_found": {
        "es": "No existe el webhook «{webhook_id}» en esta cuenta.",
        "en": "There is no webhook «{webhook_id}» of this account.",
    },
    "delivery_not_found": {
        "es": "No existe el envío «{delivery_id}» en el registro de este webhook, o ya venció.",
        "en": "There is no delivery «{delivery_id}» in the log of this webhook, or it has expired.",
    },
    "too_many_webhooks": {
        "es": "Una cuenta puede tener {most} webhooks. Borre uno que ya no use.",
        "en": "An account may have {most} webhooks. Remove one that is not used any more.",
    },
    "webhook_switched_off": {
        "es": "El webhook está apagado. Enciéndalo con is_active: true.",
        "en": "The webhook is switched off. Switch it on with is_active: true.",
    },
    "webhook_gone": {
        "es": "El receptor respondió 410: ya no quiere recibir nada en esta dirección",
        "en": "The receiver answered 410: it wants nothing at this address any more",
    },
    "webhook_failing": {
        "es": "Ningún envío tuvo éxito durante {days} días; el último terminó en {last}",
        "en": "No delivery succeeded for {days} days; the last one ended in {last}",
    },
    "webhook_url_malformed": {
        "es": "«{value}» no es una dirección http(s) sin usuario ni fragmento.",
        "en": "«{value}» is not an http(s) address without a user or fragment.",
    },
    "webhook_url_not_https": {
        "es": "Debe ser una dirección https: lo que se envía contiene datos personales.",
        "en": "It must be an https address: what is sent has personal data.",
    },
    "webhook_url_not_public": {
        "es": "Debe ser una dirección de Internet, no de una red privada.",
        "en": "It must be an address of the Internet, not of a private network.",
    },
    "webhook_event_not_subscribable": {
        "es": "No hace falta suscribirse a «{value}»: se envía solo al probar el webhook.",
        "en": "Nobody subscribes to «{value}»: it is sent only to try the webhook out.",
    },
}
