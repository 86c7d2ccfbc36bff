"""Access tokens: JSON Web Tokens (RFC 7519), HS256, short-lived. Times are checked by our clock, not the library's.

Tickets for live streams are such tokens too, but for an audience (`aud`): PyJWT refuses one that is for nobody in
particular where an audience is asked for, and one for an audience where none is.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

ALGORITHM = "HS256"
ISSUER = "cadencia"
TICKET_AUDIENCE = "batch-events"
_OPTIONS: jwt.types.Options = {
    "require": ["sub", "iat", "exp", "iss"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class AccessTokens:
    """Signs and reads them; the secret is the caller's."""

    def sign(self, user_id: str, now: datetime, lifetime: timedelta, secret: str) -> str:
        """A token that says who its bearer is until `now` + `lifetime`."""
        return jwt.encode(_claims(user_id, now, lifetime), secret, algorithm=ALGORITHM)

    def bearer_of(self, token: str, now: datetime, secret: str) -> str | None:
        """The user id in a token of ours that has not expired; None for any other."""
        claims = _read(token, now, secret)
        return None if claims is None else str(claims["sub"])

    def sign_ticket(self, holder: str, batch_id: str, now: datetime, lifetime: timedelta, secret: str) -> str:
        """A ticket of `holder` for the batch's live stream."""
        claims = {**_claims(holder, now, lifetime), "aud": TICKET_AUDIENCE, "batch": batch_id}
        return jwt.encode(claims, secret, algorithm=ALGORITHM)

    def holder_of_ticket(self, text: str, batch_id: str, now: datetime, secret: str) -> str | None:
        """The holder of a ticket of ours for the batch that has not expired; None for any other."""
        claims = _read(text, now, secret, audience=TICKET_AUDIENCE)
        return str(claims["sub"]) if claims is not None and claims.get("batch") == batch_id else None


def _claims(subject: str, now: datetime, lifetime: timedelta) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "sub": subject,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
    }


def _read(token: str, now: datetime, secret: str, audience: str | None = None) -> dict[str, Any] | None:
    """What a token of ours says; None if it is not, is for another audience, or has expired."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, secret, algorithms=[ALGORITHM], issuer=ISSUER, audience=audience, options=_OPTIONS
        )
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (jwt.InvalidTokenError, ValueError, OverflowError, OSError):
        return None
    return claims if now < expires_at else None
