"""`python -m scripts.check_ledger`: do the ledger, the balances and the jobs agree? Reads only, also while calls go on.

Exit code 0: they agree. 1: they do not, and each difference is named. 2: it could not be told.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from app.bootstrap import open_container
from app.config import Settings, SettingsError, load_settings
from app.domain.errors import CadenciaError
from app.repositories.database import DatabaseUnsuitable
from app.services.reconciling import Report

AGREE, DIFFER, UNKNOWN = 0, 1, 2

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    account: Annotated[str | None, typer.Option(help="Only this account. Default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    second_look_after: Annotated[
        float, typer.Option(min=0, help="Seconds between the two looks that a difference must be there at.")
    ] = 3.0,
) -> None:
    """Check that the ledger, the balances and the jobs agree, to the last digit.

    For every account: what was bought is the sum of the top-ups, what was used and spent is the sum of the calls, what
    is free is the rest less the reservations; every reservation belongs to a call in progress; every charged attempt
    of a job is in the ledger once, with the same cost, and every call of the ledger is some job's; the same for batches
    with a budget.
    """
    try:
        report = asyncio.run(_check(load_settings(), account, second_look_after))
    except (SettingsError, DatabaseUnsuitable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNKNOWN) from None
    except CadenciaError as error:
        typer.echo(error.message.render("en"), err=True)
        raise typer.Exit(UNKNOWN) from None
    if as_json:
        differences = [difference.model_dump() for difference in report.differences]
        typer.echo(json.dumps({**asdict(report), "differences": differences}, indent=2, ensure_ascii=False))
    else:
        _show(report)
    raise typer.Exit(DIFFER if report.differences else AGREE)


async def _check(settings: Settings, account: str | None, second_look_after: float) -> Report:
    async with open_container(settings) as container:
        await container.database.check()
        await container.check_data()
        return await container.reconciling.check(account, second_look_after=second_look_after)


def _show(report: Report) -> None:
    console = Console()
    console.print(
        f"{report.accounts} accounts, {report.entries} calls in the ledger, {report.attempts} attempts in jobs, "
        f"{report.in_progress} charges in progress."
    )
    if not report.differences:
        console.print("[green]Everything agrees.[/green]")
        return
    table = Table(*(Column(name, overflow="fold") for name in ("account", "rule", "where", "expected", "found")))
    for difference in report.differences:
        table.add_row(difference.account_id, difference.rule, difference.subject, difference.expected, difference.found)
    console.print(table)
    more = ", and more" if report.is_cut_short else ""
    console.print(f"[red]{len(report.differences)} differences{more}.[/red]")


if __name__ == "__main__":
    cli()
