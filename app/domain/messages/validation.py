"""Texts: validation."""

from typing import Literal

TEXTS: dict[str, dict[Literal["es", "en"], str]] = {}
