"""`python -m scripts.doctor`: is everything that Cadencia stands on as it must be, and if not, what is to be done?

Reads only. Exit code 0: nothing keeps calls from being placed. 1: something does. 2: the settings are wrong.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from app.bootstrap import open_container, open_diagnosing
from app.config import Settings, SettingsError, load_settings
from app.domain.diagnosis import Finding, Level
from app.repositories.database import DatabaseUnsuitable

HEALTHY, ILL, UNKNOWN = 0, 1, 2
_SHOWN = {
    Level.OK: "[green]ok     [/green]",
    Level.WARNING: "[yellow]warning[/yellow]",
    Level.ERROR: "[red]error  [/red]",
}

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Check MongoDB (version, replica set, indexes, writes), the clocks, the workers, and at Retell the key, agents,
    from-numbers and how many calls may go on at once, with the settings of this process. Nothing is changed.
    """
    try:
        findings = asyncio.run(_examine(load_settings()))
    except (SettingsError, DatabaseUnsuitable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNKNOWN) from None
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        _show(findings)
    raise typer.Exit(ILL if any(finding.level is Level.ERROR for finding in findings) else HEALTHY)


async def _examine(settings: Settings) -> list[Finding]:
    async with open_container(settings) as container, open_diagnosing(container) as diagnosing:
        return await diagnosing.findings()


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    for finding in findings:
        console.print(f"{_SHOWN[finding.level]}  {escape(finding.subject)}: {escape(finding.text)}", soft_wrap=True)
        if finding.advice:
            console.print(f"         → {escape(finding.advice)}", soft_wrap=True)


if __name__ == "__main__":
    cli()
