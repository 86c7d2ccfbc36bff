"""Whether anything in the whole database still says who somebody is: every document of every collection is read."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from app.bootstrap import Container


async def mentions(container: Container, *, digits: list[str], words: list[str]) -> list[str]:
    """Where one of these is said, in whatever way it is grouped, accented or nested: `collection/_id/path: text`.

    `digits`: of numbers and ids, without what is put between them; `words`: as they are spelled without accents.
    """
    found = []
    database = container.database._db
    for name in await database.list_collection_names():
        async for document in database[name].find():
            for path, text in texts(document):
                bare = re.sub(r"[\s.\-()/]", "", text)
                plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
                if any(number in bare for number in digits) or any(word in plain for word in words):
                    found.append(f"{name}/{document['_id']}{path}: {text[:200]}")
    return found


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text, field name and number within, and where it stands."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield f"{path}/{name}", str(name)
            yield from texts(item, f"{path}/{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from texts(item, f"{path}/{place}")
    elif isinstance(value, bytes):
        yield path, value.decode(errors="replace")
    elif isinstance(value, str | int):
        yield path, str(value)
