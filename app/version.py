"""Which Cadencia this is."""

from importlib import metadata


def version() -> str:
    try:
        return metadata.version("cadencia")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "0.1.0"
