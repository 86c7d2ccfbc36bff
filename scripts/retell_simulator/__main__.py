"""python -m scripts.retell_simulator: a Retell to call for free."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError

from scripts.retell_simulator.clock import Clock
from scripts.retell_simulator.server import bind, serve, url_of
from scripts.retell_simulator.simulator import Simulator, SimulatorScript

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command()
def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8800,
    speed: Annotated[
        float, typer.Option(help="Simulated seconds per real second: with 60 a minute of talk takes one second.")
    ] = 1.0,
    api_key: Annotated[
        str, typer.Option(help="The key clients must send as a bearer token; it signs the webhooks too.")
    ] = "key_simulator",
    seed: Annotated[
        int | None, typer.Option(help="Makes the random outcomes and faults the same in every run.")
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            help='JSON file {"numbers": {"+56…": ["dial_busy", "user_hangup"]}, "knobs": {…}}.', dir_okay=False
        ),
    ] = None,
    webhook_url: Annotated[
        str | None, typer.Option(help="Where to send webhooks of calls that name no URL themselves.")
    ] = None,
) -> None:
    """Simulate Retell AI's phone-call API: no call is placed and nothing is charged.

    Point the client's base URL at the printed address. Calls live in memory and walk through their states in
    scaled time. Outcomes per number, faults and limits are set with --script, or while it runs:

    - PUT /simulator/numbers: what happens to the next calls to a number

    - PATCH /simulator/knobs: limits, faults, delays, webhooks (GET shows them all)

    - GET /simulator/creates, /simulator/calls, /simulator/webhooks: everything that happened

    - GET /simulator/summary: totals, peaks, and whether anybody was called twice

    - POST /simulator/reset: back to the start
    """
    if speed <= 0:
        _fail("--speed must be above 0")
    start = _read_script(script)
    if webhook_url is not None:
        start.knobs.webhooks.url = webhook_url
    try:
        listener = bind(host, port)
    except OSError as error:
        _fail(f"cannot listen on {host}:{port}: {error.strerror or error}")
    simulator = Simulator(api_key=api_key, clock=Clock(speed), seed=seed, script=start)
    serve(simulator, listener, f"Retell simulator on {url_of(listener)} (speed {speed:g})")


def _read_script(path: Path | None) -> SimulatorScript:
    if path is None:
        return SimulatorScript()
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        return SimulatorScript.model_validate(data)
    except OSError as error:
        _fail(f"cannot read {path}: {error.strerror}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        _fail(f"{path}: {'.'.join(str(step) for step in first['loc'])}: {first['msg']}")
    except ValueError as error:
        _fail(f"{path} is not JSON: {error}")


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


if __name__ == "__main__":
    app()
