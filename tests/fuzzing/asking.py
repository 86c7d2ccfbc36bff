"""schemathesis, as its users run it, against the API behind a real port."""

import asyncio
import json
import sys
from copy import deepcopy
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import httpx

from app.api.openapi_details import operations
from app.bootstrap import open_container
from app.main import create_app
from tests.api.conftest import CREDENTIALS, let_in
from tests.api.serving import serving
from tests.conftest import make_settings
from tests.fuzzing.world import populate

DATABASE = "cadencia_fuzz"
CONFIG = Path(__file__).with_name("schemathesis.toml")


class Verdict(NamedTuple):
    exit_code: int
    text: str
    report: dict[str, Any]


async def ask(mongodb_uri: str, home: Path, *, examples: int, seed: int, only: str | None = None) -> Verdict:
    """The verdict on every operation of the document (or those whose path matches `only`), in a database of its own.

    The same `seed` asks the same of the same document.
    """
    settings = make_settings(mongodb_uri, mongodb_database=DATABASE, requests_per_minute=10_000_000)
    async with open_container(settings) as container:
        await container.database.drop()
        await container.prepare_database()
        await let_in(container)
        try:
            app = create_app(settings)
            async with serving(app) as url:
                async with httpx.AsyncClient(base_url=f"{url}/api/v1/", headers=CREDENTIALS, timeout=60) as api:
                    ids = await populate(api, container)
                config, document = home / "schemathesis.toml", home / "openapi.json"
                config.write_text(Template(CONFIG.read_text("utf-8")).substitute(ids), "utf-8")
                document.write_text(json.dumps(_with_ids(app.openapi(), ids)), "utf-8")
                command = [
                    "--config-file",
                    config,
                    "run",
                    document,
                    "--url",
                    url,
                    "--max-examples",
                    examples,
                    "--seed",
                    seed,
                ]
                command += ["--include-path-regex", only] if only else []
                return await _run([str(part) for part in command], home)
        finally:
            await container.database.drop()


def _with_ids(document: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """The document, with what there is as the examples of parameters: schemathesis uses them beside its inventions."""
    document = deepcopy(document)
    for path, method, operation in operations(document):
        ends = method == "delete" or path.endswith("/cancel")
        known = ids | {"batch_id": ids["spare_batch_id"]} if ends else ids
        for parameter in operation.get("parameters", []):
            if parameter["name"] in known:
                parameter["example"] = known[parameter["name"]]
    return document


async def _run(command: list[str], home: Path) -> Verdict:
    report = home / "report.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *command, "--no-color", "--report-json-path", str(report)),
        *("--header", f"Authorization: {CREDENTIALS['Authorization']}"),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(report.read_text("utf-8")) if report.exists() else {}
    return Verdict(process.returncode or 0, output.decode(errors="replace"), found)
