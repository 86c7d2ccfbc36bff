"""The OpenAPI document makes a TypeScript client that a program can be written with, and the program runs."""

import asyncio
import copy
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.bootstrap import Container
from app.config import Settings
from app.main import create_app
from scripts import typescript_client
from scripts.typescript_client import CLIENT, NODE, ClientError
from tests.api.conftest import CREDENTIALS
from tests.api.serving import serving

pytestmark = pytest.mark.timeout(600)  # npm may have to fetch its packages


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    typescript_client.install()
    return typescript_client.openapi_document()


@pytest.fixture
def program() -> Iterator[Path]:
    """A copy of the program, below the packages that it needs."""
    folder = CLIENT / ".checked"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "src").mkdir(parents=True)
    for name in ("tsconfig.json", "package.json", "src/campaign.ts"):
        shutil.copy(CLIENT / name, folder / name)
    yield folder
    shutil.rmtree(folder)


def check(program: Path, document: dict[str, Any]) -> None:
    typescript_client.write_types(document, program / "src" / "schema.d.ts")
    typescript_client.check(program)


async def test_the_program_fits_the_document_and_runs(
    program: Path,
    document: dict[str, Any],
    api: httpx.AsyncClient,
    account: dict[str, Any],
    settings: Settings,
    container: Container,
) -> None:
    check(program, document)
    async with serving(create_app(settings)) as url:
        key = CREDENTIALS["Authorization"].removeprefix("Bearer ")
        process = await asyncio.create_subprocess_exec(
            *(NODE, program / "src" / "campaign.ts", account["account_id"], "2"),
            env={**os.environ, "CADENCIA_URL": url, "CADENCIA_API_KEY": key},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = (part.decode() for part in await process.communicate())
    assert process.returncode == 0, errors
    (batch,) = (await api.get("batches")).json()
    assert f"Created {batch['batch_id']}" in output
    assert "0 in all" in output
    assert output.count("running  0 %") == 1  # the second look was a 304
    assert (batch["budget"], batch["call_settings"]["max_attempts"]) == (20, 2)


def test_a_document_that_lacks_something_makes_types_that_do_not_fit(program: Path, document: dict[str, Any]) -> None:
    poorer = copy.deepcopy(document)
    del poorer["components"]["schemas"]["BatchStatusReply"]["properties"]["blocked_by"]
    with pytest.raises(ClientError, match="blocked_by"):
        check(program, poorer)


def test_the_lock_file_names_no_host() -> None:
    assert "://" not in (CLIENT / "package-lock.json").read_text("utf-8")
