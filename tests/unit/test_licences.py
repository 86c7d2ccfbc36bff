"""docs/licences.md lists what the lock has, no more and no less."""

import re

from scripts.licences import LOCK, PAGE, licence_of, locked, page


def test_the_page_is_what_the_script_writes() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m scripts.licences`"


def test_every_package_of_the_lock_is_listed_but_those_of_other_systems() -> None:
    names = set(re.findall(r"^([a-z0-9-]+)(?:\[.*])?==", LOCK.read_text("utf-8"), re.MULTILINE))
    listed = [name for name, _ in locked()]
    assert len(listed) == len(set(listed))
    assert names - set(listed) == {"colorama"}  # Windows only
    assert set(listed) <= names


def test_every_licence_is_known_and_none_would_bind_cadencia() -> None:
    licences = {name: licence_of(name) for name, _ in locked()}
    assert [name for name, licence in licences.items() if not licence or re.search("GPL|AGPL|SSPL", licence)] == []
