"""`python -m scripts.after_restore`: a backup was restored; see to it that nobody is called who was called since.

docs/operations.md has the whole procedure. Exit code 0: done. 1: run it again later, for what it names. 2: it could not
be done, or not to its end; every account that it had come to is held, and running it again is harmless.
"""

import asyncio
import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.bootstrap import open_container, open_restoring
from app.config import Settings, SettingsError, WorkerSettings, load_settings
from app.domain.accounts import AccountStatus
from app.domain.errors import CadenciaError
from app.domain.provider_errors import ProviderError
from app.domain.restoring import PastCall
from app.log_config import configure_logging
from app.repositories.database import DatabaseUnsuitable
from app.services.restoring import NoCallsListed, Restored, WorkersAtWork

DONE, AGAIN, FAILED = 0, 1, 2
COLUMNS = ("phone", "account_id", "batch_id", "job_id", "called_at", "call_id", "ended_by")
NOT_RECOVERED = (
    "Nobody is released: in the last day this command has not ended with exit code 0, so calls made since the backup "
    "may not have been found, and their contacts would be called again. Run it with --since until it does; or, if you "
    "know better, say --although-not-recovered."
)

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    since: Annotated[
        str, typer.Option(metavar="TIME", help="When the backup was taken, or earlier: 2026-11-23T03:00:00Z.")
    ] = "",
    strays: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write calls to contacts that the backup does not have (CSV).")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Let the accounts call again that this command had suspended.")
    ] = False,
    although_not_recovered: Annotated[
        bool,
        typer.Option(
            "--although-not-recovered",
            help="With --release: also if this command has not ended with 0 in the last day. Whoever was called since "
            "the backup may be called again.",
        ),
    ] = False,
    account: Annotated[
        list[str] | None, typer.Option(help="With --release: only this account; may be repeated.")
    ] = None,
) -> None:
    """Run it first with all workers stopped: it suspends every account, asks Retell for all calls of the batches that
    are not over, and makes those which the backup knows nothing of attempts of their jobs, with outcome and charge.
    Then start the workers, run it again until it ends with 0, and then with --release.
    """
    try:
        if release:
            released = _release(load_settings(), account or [], unrecovered=although_not_recovered)
            raise typer.Exit(asyncio.run(released))
        taken_at = _instant(since)
        restored = asyncio.run(_recover(load_settings(WorkerSettings), taken_at))
    except WorkersAtWork as error:
        typer.echo(f"Workers are at work ({error}), or were a minute ago. Stop all of them first.", err=True)
        raise typer.Exit(FAILED) from None
    except NoCallsListed:
        typer.echo(
            "Retell's list has none of the calls that the backup has: is RETELL_API_KEY one of the workspace that they "
            "were made with? No account calls.",
            err=True,
        )
        raise typer.Exit(FAILED) from None
    except ProviderError as error:
        typer.echo(f"Retell does not answer as it must: {error.detail}. Run this again; no account calls.", err=True)
        raise typer.Exit(FAILED) from None
    except (SettingsError, DatabaseUnsuitable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None
    except CadenciaError as error:
        typer.echo(error.message.render("en"), err=True)
        raise typer.Exit(FAILED) from None
    if strays is not None:
        _write(strays, restored.strays)
    for line in _told(restored, strays):
        typer.echo(line)
    raise typer.Exit(DONE if restored.is_done else AGAIN)


def _instant(written: str) -> datetime:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise typer.BadParameter("give the time with its zone, such as 2026-11-23T03:00:00Z", param_hint="--since")
    return at.astimezone(UTC)


async def _recover(settings: Settings, since: datetime) -> Restored:
    async with open_container(settings) as container:
        await container.prepare_database()
        async with open_restoring(container) as restoring:
            return await restoring.recover(since)


async def _release(settings: Settings, chosen: list[str], *, unrecovered: bool) -> int:
    async with open_container(settings) as container:
        await container.prepare_database()
        async with open_restoring(container) as restoring:
            held = await restoring.held_accounts()
            meant = [account_id for account_id in held if not chosen or account_id in chosen]
            if meant and not (unrecovered or await restoring.is_complete()):
                typer.echo(NOT_RECOVERED, err=True)
                return FAILED
        for account_id in meant:
            await container.accounts.change(account_id, {"status": AccountStatus.ACTIVE})
            typer.echo(f"{account_id} may call again")
    unknown = sorted(set(chosen) - set(held))
    if unknown:
        typer.echo(f"Not suspended by this command: {', '.join(unknown)}", err=True)
    return FAILED if unknown else DONE


def _told(restored: Restored, strays: Path | None) -> list[str]:
    lines = [
        f"Accounts suspended now: {restored.held_accounts}. Batches looked at: {restored.batches}.",
        f"Forgotten calls that are in their jobs again: {restored.settled}.",
    ]
    if restored.not_covered:
        lines.append(f"Not charged, for want of money in the backup: {restored.not_covered} of them.")
    if restored.left_to_workers:
        lines.append(f"Contacts whose call is not over, or in hand: {restored.left_to_workers}. Workers follow them.")
    if restored.importing:
        lines.append(f"Still being imported: {', '.join(restored.importing)}.")
    if restored.series:
        lines.append(f"Occurrences that passed are left out of: {', '.join(restored.series)}.")
    if restored.strays:
        where = f"see {strays}" if strays is not None else "name a file with --strays to see them"
        lines.append(f"Calls to contacts that the backup does not have: {len(restored.strays)} ({where}).")
    if not restored.is_done:
        lines.append("Not done yet: let workers run, and run this again. No account calls meanwhile.")
    return lines


def _write(path: Path, calls: list[PastCall]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for call in calls:
            at = call.at.isoformat() if call.at else ""
            ids = (call.account_id, call.batch_id, call.job_id)
            writer.writerow([call.to_number, *ids, at, call.report.call_id, call.report.disconnection_reason])


if __name__ == "__main__":
    configure_logging("console", "WARNING")
    cli()
