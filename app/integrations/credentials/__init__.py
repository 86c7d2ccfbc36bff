"""Passwords and tokens, by kept libraries: argon2-cffi and PyJWT."""
