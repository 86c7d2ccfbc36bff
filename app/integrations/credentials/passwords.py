"""Password hashes: Argon2id with the parameters of RFC 9106's second recommendation, as argon2-cffi has them."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 2
"""Each hash takes 64 MiB and tens of milliseconds of a core: a flood of logins must not take the process."""


class Passwords:
    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """None for a user who does not exist: it takes as long as for one who does."""
        if password_hash is None:
            if self._nobodys is None:
                self._nobodys = await self.hash("nobody has this password")
            await self._verify(self._nobodys, password)
            return False
        return await self._verify(password_hash, password)

    async def _verify(self, password_hash: str, password: str) -> bool:
        async with self._gate:
            try:
                return await asyncio.to_thread(self._hasher.verify, password_hash, password)
            except (VerificationError, InvalidHashError):
                return False
