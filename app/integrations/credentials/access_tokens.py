"""Access tokens: JSON Web Tokens (RFC 7519), HS256, short-lived. Times are checked by our clock, not the library's."""

from datetime import UTC, datetime, timedelta

import jwt

ALGORITHM = "HS256"
ISSUER = "cadencia"
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
        claims = {
            "iss": ISSUER,
            "sub": user_id,
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        return jwt.encode(claims, secret, algorithm=ALGORITHM)

    def bearer_of(self, token: str, now: datetime, secret: str) -> str | None:
        """The user id in a token of ours that has not expired; None for any other."""
        try:
            claims = jwt.decode(token, secret, algorithms=[ALGORITHM], issuer=ISSUER, options=_OPTIONS)
            expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (jwt.InvalidTokenError, ValueError, OverflowError, OSError):
            return None
        return str(claims["sub"]) if now < expires_at else None
