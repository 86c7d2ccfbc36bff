"""`python -m scripts.licences`: writes docs/licences.md, the licence of every package that runs with Cadencia.

From the lock, and from what each installed package says of itself.
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
LOCK = ROOT / "requirements" / "runtime.txt"
IMAGE = {
    "python_version": "3.11",
    "python_full_version": "3.11.9",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
"""Where it runs (Dockerfile): packages of other systems are not in it."""

_LOCKED = re.compile(r"^([\w.-]+)(?:\[[^]]*])?==([^\s;]+)(?:\s*;\s*([^\\\n]+))?", re.MULTILINE)
_HEAD = """# Licences

What runs with Cadencia, as locked in `requirements/runtime.txt`, and the licence that each package states.
Written by `python -m scripts.licences`.

| Package | Version | Licence |
|---|---|---|
"""


def locked() -> Iterator[tuple[str, str]]:
    """Name and version of every package of the image."""
    for name, version, marker in _LOCKED.findall(LOCK.read_text("utf-8")):
        if not marker or Marker(marker.strip()).evaluate(IMAGE):
            yield name, version


def licence_of(name: str) -> str:
    """An SPDX expression where the package has one, else its own short words; empty if it says nothing."""
    said = metadata.metadata(name)

    def first(field: str) -> str:
        return str((said.get_all(field) or [""])[0])

    short = first("License")
    # Some put the whole text there, and "Dual License" says nothing.
    if "\n" in short or short == "Dual License":
        short = ""
    classifiers = [
        text.rpartition(" :: ")[2] for text in said.get_all("Classifier") or [] if text.startswith("License")
    ]
    return first("License-Expression") or short or " OR ".join(classifiers)


def page() -> str:
    return _HEAD + "".join(f"| {name} | {version} | {licence_of(name)} |\n" for name, version in locked())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
