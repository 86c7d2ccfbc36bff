"""One import or export as an API process makes it: `python -m benchmarks.our_tables KIND MONGODB_URI PATH_OR_BATCH`.

It prints the seconds that the work took, without the interpreter's start, the imports and the connection.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from app.bootstrap import Container
from app.domain.contact_list import ListOrder
from app.domain.results import Per
from app.services.results import Wanted
from benchmarks.site import Site

ACCOUNT = "acc-bench"
DATABASE = "bench_tables"


async def _blocks(container: Container, kind: str, batch_id: str) -> AsyncGenerator[bytes, None]:
    _, sheet = await container.results.file(batch_id, Wanted(Per.CONTACT), "es")
    files = container.result_files
    file = files.workbooks if kind == "xlsx" else files.csv.separated_by(";")
    async with aclosing(file.blocks([sheet])) as blocks:
        async for block in blocks:
            yield block


async def main(kind: str, uri: str, what: str) -> None:
    async with Site(uri, 0).container(DATABASE) as container:
        began = time.perf_counter()  # noqa: TID251 - what is measured is this machine's time
        size = 0
        if kind == "preview":
            await container.uploads.preview(ACCOUNT, Path(what), "lista.xlsx", ListOrder())
        else:
            async for block in _blocks(container, kind, what):
                size += len(block)
        print(json.dumps({"seconds": time.perf_counter() - began, "megabytes": size / 1e6}))  # noqa: TID251


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
