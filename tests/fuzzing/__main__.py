"""`python -m tests.fuzzing`: what the tests ask of the API in short, at length."""

import asyncio
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from app.log_config import configure_logging
from app.repositories.embedded_mongod import start_embedded_mongod
from tests.fuzzing.asking import ask

MOST = 2**32


async def _ask(examples: int, seed: int, only: str | None) -> int:
    configure_logging("console", "ERROR")
    with tempfile.TemporaryDirectory(prefix="cadencia-fuzz-") as folder:
        home = Path(folder)
        async with await start_embedded_mongod(home / "mongod") as mongod:
            verdict = await ask(mongod.uri, home, examples=examples, seed=seed, only=only)
    sys.stdout.write(verdict.text)
    return verdict.exit_code


def main(
    examples: Annotated[int, typer.Option(help="Inventions an operation, besides the edges of its schema.")] = 200,
    seed: Annotated[int | None, typer.Option(help="To ask the same again. Default: something new.")] = None,
    only: Annotated[str | None, typer.Option(help="A regular expression that paths match.")] = None,
) -> None:
    """Ask every operation of the OpenAPI document what nobody would ask, on an embedded mongod."""
    sys.exit(asyncio.run(_ask(examples, secrets.randbelow(MOST) if seed is None else seed, only)))


if __name__ == "__main__":
    typer.run(main)
