"""docs/operations.md says what the code does: presets, keys and its own links. (Alerts: test_monitoring.py.)"""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.domain.call_presets import PRESETS, CallPreset

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def written_hours(preset: CallPreset) -> str:
    hours = preset.hours
    if hours is None:
        return "none of its own"
    days = sorted(hours.days_of_week)
    named = "every day" if len(days) == 7 else f"{DAYS[days[0]]}–{DAYS[days[-1]]}"
    assert days == list(range(days[0], days[-1] + 1))
    holidays = ", not on holidays" if hours.holidays else ""
    return f"{named} {hours.start:%H:%M}–{hours.end:%H:%M}{holidays}"


def written_caps(preset: CallPreset) -> str:
    caps = [
        f"{cap.max} {cap.counts.value[: -1 if cap.max == 1 else None]} "
        + ("a day" if cap.days is None else f"in {cap.days} days")
        for cap in preset.person_caps
    ]
    return ", ".join(caps) or "none"


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.country)
def test_presets_are_written_as_they_are(preset: CallPreset) -> None:
    assert f"| {preset.country} | {written_hours(preset)} | {written_caps(preset)} |" in section(
        "Rules of calling by country"
    )


def test_every_secret_setting_has_its_way_of_being_changed() -> None:
    secrets = {name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    assert {name for name in secrets if f"`{name}`" in section("Changing keys")} == secrets


def test_links_within_the_page_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= headings


def test_scripts_and_files_that_are_named_exist() -> None:
    root = Path(__file__).parents[2]
    for module in set(re.findall(r"python -m ((?:scripts|workers)\.\w+)", PAGE)):
        assert (root / f"{module.replace('.', '/')}.py").exists(), module
    for linked in re.findall(r"\]\((?!http|#)([^)#]+)", PAGE):
        assert (root / "docs" / linked).exists(), linked
