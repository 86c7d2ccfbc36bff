"""`python -m scripts.migrate`: bring the data in MongoDB to what this code works with; or only look.

Exit code 0: the data is as this code needs it. 1: it is not yet. 2: the settings or the data do not fit this code.
"""

import asyncio
from typing import Annotated

import typer

from app.bootstrap import Container, open_container
from app.config import Settings, SettingsError, load_settings
from app.domain.errors import Unavailable
from app.log_config import configure_logging
from app.repositories.database import DatabaseUnsuitable

DONE, OUTSTANDING, UNFIT = 0, 1, 2
WAIT_SECONDS = 2.0

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    check: Annotated[bool, typer.Option("--check", help="Only say whether there is something to do.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done, and to how much.")] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Do all migrations once more, where something is lacking: after restoring part of an old backup, or "
            "if older code wrote meanwhile.",
        ),
    ] = False,
) -> None:
    """Migrate the data, and wait until that is done, by whichever process. May be stopped and repeated at any time.

    API and workers do the same when they start, unless MIGRATE_AT_START is false.
    """
    try:
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level)
        done = asyncio.run(_look(settings, shown=plan) if check or plan else _migrate(settings, again=again))
    except (SettingsError, DatabaseUnsuitable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNFIT) from None
    except Unavailable as error:
        typer.echo(error.message.render("en"), err=True)
        raise typer.Exit(OUTSTANDING) from None
    raise typer.Exit(DONE if done else OUTSTANDING)


async def _look(settings: Settings, *, shown: bool) -> bool:
    async with open_container(settings) as container:
        await container.database.check()
        outstanding = await container.migrator.outstanding()
        for one in outstanding if shown else []:
            migration = one.migration
            typer.echo(f"{migration.number} {migration.name}: {migration.what}")
            typer.echo(f"    to do: {one.things}; older code {_meanwhile(compatible=migration.compatible)}")
        await _say_where_it_stands(container, len(outstanding))
        return not outstanding


def _meanwhile(*, compatible: bool) -> str:
    return "may go on meanwhile and afterwards" if compatible else "is stopped first: its workers hand over their calls"


async def _say_where_it_stands(container: Container, outstanding: int) -> None:
    versions = await container.migrator.check()
    version = versions.version if versions else "none yet"
    typer.echo(f"data: version {version}; code: {container.migrator.code_version}; migrations to come: {outstanding}")


async def _migrate(settings: Settings, *, again: bool) -> bool:
    async with open_container(settings) as container:
        await container.database.check()
        if again and not await container.migrator.begin_again():
            typer.echo("A migration is under way; nothing was begun again.", err=True)
            return False
        while True:
            try:
                await container.prepare_database(migrate=True)
                break
            except Unavailable as error:
                # Another runner, an election, an index that takes longer to build than an answer may: it goes on.
                typer.echo(error.message.render("en"))
                await asyncio.sleep(WAIT_SECONDS)
        await _say_where_it_stands(container, 0)
        return True


if __name__ == "__main__":
    cli()
