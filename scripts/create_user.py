"""`python -m scripts.create_user`: let a person in. How the first administrator comes to be."""

import asyncio
import secrets
from typing import Annotated

import typer

from app.bootstrap import open_container
from app.config import Settings, SettingsError, load_settings
from app.domain.access import PASSWORD_LENGTH, Role, User
from app.domain.contact_import import is_email
from app.domain.errors import CadenciaError
from app.repositories.database import DatabaseUnsuitable
from app.services.users import NewUser

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    email: Annotated[str, typer.Argument(help="The address to log in with.")],
    name: Annotated[str, typer.Option(help="How the person is called; the address if left out.")] = "",
    role: Annotated[Role, typer.Option(case_sensitive=False)] = Role.ADMIN,
    account: Annotated[list[str] | None, typer.Option(help="Only this account; may be repeated.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for a password instead of making one up.")] = False,
) -> None:
    """Create a user of the API. Without --ask a password is made up and shown once."""
    if not is_email(email):
        raise typer.BadParameter(f"{email} is not an email address", param_hint="EMAIL")
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if ask else secrets.token_urlsafe(12)
    if not PASSWORD_LENGTH[0] <= len(password) <= PASSWORD_LENGTH[1]:
        typer.echo(f"A password has {PASSWORD_LENGTH[0]} to {PASSWORD_LENGTH[1]} characters.", err=True)
        raise typer.Exit(2)
    new = NewUser(email, name or email, role, password, frozenset(account) if account else None)
    try:
        user = asyncio.run(_create(load_settings(), new))
    except CadenciaError as error:
        typer.echo(error.message.render("en"), err=True)
        raise typer.Exit(1) from None
    except (SettingsError, DatabaseUnsuitable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{user.role.value} {user.email} created" + ("" if ask else f", password {password}"))


async def _create(settings: Settings, new: NewUser) -> User:
    async with open_container(settings) as container:
        await container.prepare_database()
        return await container.access.users.create(new)


if __name__ == "__main__":
    cli()
