"""`make demo`: a campaign from the spreadsheet to the results, on this machine, without an account anywhere.

Starts MongoDB, the Retell simulator, the API and two call workers as separate processes; creates an account over HTTP,
previews examples/contactos.xlsx, creates a batch of it, and follows the calls to the last one.
"""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.repositories.embedded_mongod import EmbeddedMongodError
from scripts.dev_stack import HOME, ROOT, Stack, StackError, running_stack

EXAMPLES = ROOT / "examples"
DATABASE = "cadencia_demo"
MAX_SECONDS = 240
"""A demo that is not done by then has failed."""

WORKER_SETTINGS = {
    # A simulated minute takes a second, so everything that waits for calls waits less than in production.
    "CALL_POLL_SECONDS": "0.3",
    "CALL_DETAILS_GRACE_SECONDS": "2",
    "WORKER_POLL_SECONDS": "0.3",
    "WORKER_LEASE_SECONDS": "6",
    "RETELL_CREATE_TIMEOUT_SECONDS": "2",
    "WORKER_HEARTBEAT_SECONDS": "1.5",
    "WORKER_SHUTDOWN_SECONDS": "8",
}

ACCOUNT = {
    "account_name": "Cobranzas Andinas",
    "contact_name": "María González",
    "contact_email": "maria@example.com",
    "contact_phone": "+56987654321",
    "plan_type": "credit_based",
    "initial_credits": 1000,
    "features": {"max_concurrent_calls": 8},
    "settings": {"timezone": "America/Santiago"},
}
BATCH = {
    "name": "Cobranza noviembre",
    "script_content": "Hola {{nombre}}, le llamo de {{empresa}} por su deuda de {{monto_deuda}} pesos.",
    "call_settings": {
        "max_call_duration": 180,
        "ring_timeout": 25,
        "max_attempts": 3,
        # Four seconds instead of a day, at any hour: the demo must run whenever it is started.
        "retry_delay_hours": 0.0011,
        "allowed_hours": {"start": "00:00", "end": "00:00"},
        "days_of_week": [0, 1, 2, 3, 4, 5, 6],
        "timezone": "America/Santiago",
    },
}

console = Console()
cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    leave: Annotated[
        bool, typer.Option("--exit", help="End when the results are shown, instead of waiting for Ctrl-C.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Call worker processes.")] = 2,
    speed: Annotated[float, typer.Option(min=1, help="Simulated seconds that pass in a second.")] = 30.0,
    data_dir: Annotated[Path, typer.Option(help="Where the database and the logs go.")] = HOME,
) -> None:
    """Show a campaign from the spreadsheet to the results.

    Exit code 0 only if every contact ended as the simulator's script says.
    """
    try:
        as_expected = asyncio.run(_demo(leave=leave, workers=workers, speed=speed, home=data_dir.resolve()))
    except (StackError, EmbeddedMongodError, DemoError) as error:
        console.print(f"[red]{error}[/red]", highlight=False)
        raise typer.Exit(1) from None
    raise typer.Exit(0 if as_expected else 1)


class DemoError(RuntimeError):
    """The API said something that the demo did not expect."""


async def _demo(*, leave: bool, workers: int, speed: float, home: Path) -> bool:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    console.print("[bold]Cadencia[/bold]: starting MongoDB, the Retell simulator, the API and the workers …")
    async with running_stack(
        database=DATABASE,
        workers=workers,
        speed=speed,
        script=EXAMPLES / "simulator_script.json",
        home=home,
        settings=WORKER_SETTINGS,
    ) as stack:
        _say_where(stack, home)
        story = asyncio.create_task(_story(stack))
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait({story, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not story.done():
            story.cancel()
            console.print("Stopped before the end.")
            return False
        stop.cancel()
        as_expected = story.result()
        if not leave:
            console.print(f"\nAPI docs: [bold]{stack.api_url}/docs[/bold]   Ctrl-C ends everything.")
            await stopped.wait()
    return as_expected


async def _story(stack: Stack) -> bool:
    async with asyncio.timeout(MAX_SECONDS), _logged_in(stack) as api:
        account = await _post(api, "/accounts", json=ACCOUNT)
        console.print(f"Account [bold]{account['account_id']}[/bold] with {account['balance']['credits']:g} credits")
        upload_id = await _preview(api, account["account_id"])
        batch = await _post(
            api, "/batches", json={**BATCH, "account_id": account["account_id"], "upload_id": upload_id}
        )
        console.print(f"Batch [bold]{batch['batch_id']}[/bold] with {batch['total_jobs']} contacts\n")
        await _follow(api, stack, batch)
        listed = await _get(api, "/jobs", batch_id=batch["batch_id"], limit=500)
        jobs = [await _get(api, f"/jobs/{job['job_id']}") for job in listed]
        creates = await _simulator_creates(stack)
        balance = await _get(api, f"/accounts/{account['account_id']}/balance")
        status = await _get(api, f"/batches/{batch['batch_id']}/status")
    _show_results(jobs, creates, status, balance)
    return _is_as_expected(jobs, creates)


@asynccontextmanager
async def _logged_in(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API as an operator's browser is one: with the access token of a login."""
    async with httpx.AsyncClient(base_url=f"{stack.api_url}/api/v1", timeout=30) as api:
        credentials = {"email": stack.credentials.email, "password": stack.credentials.password}
        session = await _post(api, "/auth/login", json=credentials)
        api.headers["Authorization"] = f"Bearer {session['access_token']}"
        yield api


async def _preview(api: httpx.AsyncClient, account_id: str) -> str:
    path = EXAMPLES / "contactos.xlsx"
    preview = await _post(
        api,
        "/batches/excel/preview",
        files={"file": (path.name, path.read_bytes())},
        data={"account_id": account_id},
    )
    console.print(
        f"{path.name}: {preview['total_rows']} rows, {preview['valid_rows']} valid, {preview['invalid_rows']} not:"
    )
    for row in preview["errors"]:
        texts = "; ".join(error["message"] for error in row["errors"])
        console.print(f"  row {row['rowIndex']}: {texts}", style="yellow", highlight=False)
    return str(preview["upload_id"])


async def _follow(api: httpx.AsyncClient, stack: Stack, batch: dict[str, Any]) -> None:
    """A live display until every contact is final and the batch says so."""
    progress = Progress(
        SpinnerColumn(),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
        console=console,
    )
    task = progress.add_task("contacts", total=batch["total_jobs"], detail="")
    with Live(progress, console=console, refresh_per_second=8):
        while True:
            stack.check()
            status = await _get(api, f"/batches/{batch['batch_id']}/status")
            done = status["completed_jobs"] + status["failed_jobs"] + status["cancelled_jobs"]
            detail = (
                f"{status['in_progress_jobs']} calling, {status['pending_jobs']} waiting, "
                f"{status['completed_jobs']} reached, ${status['total_cost']:.2f}{_clock(status)}"
            )
            progress.update(task, completed=done, detail=detail)
            if status["status"] == "completed":
                break
            if status["status"] != "running":
                raise DemoError(f"the batch is {status['status']}: {status.get('blocked_by')}")
            await asyncio.sleep(0.4)
    console.print()


def _clock(status: dict[str, Any]) -> str:
    """The estimated end, as a time of day (UTC), as long as there is one."""
    estimate = status["estimated_end_at"]
    return f", done by {estimate[11:19]}" if estimate else ""


async def _simulator_creates(stack: Stack) -> list[dict[str, Any]]:
    """Every call that the simulator placed."""
    async with httpx.AsyncClient(base_url=stack.simulator_url, timeout=30) as simulator:
        creates = (await simulator.get("/simulator/creates")).json()["creates"]
    return [create for create in creates if create["call_created"]]


def _show_results(
    jobs: list[dict[str, Any]], creates: list[dict[str, Any]], status: dict[str, Any], balance: dict[str, Any]
) -> None:
    calls = Counter(attempt["status"] for job in jobs for attempt in job["history"])
    contacts = Counter(job["history"][-1]["status"] for job in jobs if job["history"])
    table = Table(title="Results", title_justify="left")
    table.add_column("outcome")
    table.add_column("contacts ended so", justify="right")
    table.add_column("calls", justify="right")
    for disposition in sorted(calls, key=lambda name: -calls[name]):
        table.add_row(disposition.replace("_", " "), str(contacts[disposition]), str(calls[disposition]))
    table.add_section()
    table.add_row("[bold]total[/bold]", str(len(jobs)), str(len(creates)))
    table.add_row("retried", str(sum(len(job["history"]) > 1 for job in jobs)), str(len(creates) - len(jobs)))
    console.print(table)
    used = balance["usage_this_month"]
    console.print(
        f"Cost ${status['total_cost']:.2f} for {status['total_minutes']:.1f} minutes; "
        f"{used['credits_used']:g} credits used, {balance['current_balance']['credits']:g} left",
        highlight=False,
    )


def _is_as_expected(jobs: list[dict[str, Any]], creates: list[dict[str, Any]]) -> bool:
    """Compare with examples/expected_results.json, and look whether any attempt was dialed twice."""
    expected = json.loads((EXAMPLES / "expected_results.json").read_text("utf-8"))
    problems = [
        f"{job['contact']['name']}: expected {expected[job['contact']['phones'][0]]}, got {_result(job)}"
        for job in jobs
        if expected[job["contact"]["phones"][0]] != _result(job)
    ]
    if len(jobs) != len(expected):
        problems.append(f"expected {len(expected)} contacts, got {len(jobs)}")
    twice = [key for key, times in Counter(create["idempotency_key"] for create in creates).items() if times > 1]
    problems += [f"attempt {key} was dialed twice" for key in twice]
    for problem in problems:
        console.print(problem, style="red", highlight=False)
    if not problems:
        console.print("[green]Every contact ended as the simulator's script says; no attempt was dialed twice.[/green]")
    return not problems


def _result(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": job["status"],
        "disposition": job["history"][-1]["status"] if job["history"] else None,
        "attempts": job["attempts"],
        "calls": len(job["history"]),
    }


def _say_where(stack: Stack, home: Path) -> None:
    console.print(f"API {stack.api_url}  (docs {stack.api_url}/docs)  ·  simulator {stack.simulator_url}")
    console.print(f"Log in as {stack.credentials.email} with {stack.credentials.password}", highlight=False)
    console.print(f"Logs in {home / 'logs'}\n", highlight=False)


async def _post(api: httpx.AsyncClient, path: str, **request: Any) -> dict[str, Any]:
    response = await api.post(path, **request)
    if not response.is_success:
        raise DemoError(f"POST {path}: {response.status_code} {response.text}")
    return dict(response.json())


async def _get(api: httpx.AsyncClient, path: str, **params: Any) -> Any:
    response = await api.get(path, params=params)
    if not response.is_success:
        raise DemoError(f"GET {path}: {response.status_code} {response.text}")
    return response.json()


if __name__ == "__main__":
    cli()
