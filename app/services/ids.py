"""New ids. They are short enough to be read out on the phone, and random enough never to meet."""

from uuid import uuid4


def new_id(prefix: str) -> str:
    """`prefix`, a hyphen and 12 random hexadecimal digits."""
    return f"{prefix}-{uuid4().hex[:12]}"
