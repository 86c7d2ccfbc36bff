"""Settings: what the environment may say, what is told when it is wrong, and that .env.example is complete."""

import io
import os
import re
from pathlib import Path
from types import ModuleType

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from app import main
from app.config import Settings, SettingsError, WorkerSettings, load_settings
from scripts import check_ledger, create_user, doctor
from workers import call_worker

EXAMPLE = Path(__file__).resolve().parents[2] / ".env.example"
ENTRY = re.compile(r"#?\s*([A-Z][A-Z0-9_]*=.*)")
URI = "mongodb://user:hunter2@db.example/?replicaSet=rs0"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing but what the test sets: no variable of ours, no .env file."""
    known = {name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.upper() in known:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def set_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_only_the_database_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI)
    settings = load_settings()
    assert settings.mongodb_uri == SecretStr(URI)


def test_logs_are_told_every_secret_and_the_parts_that_some_are_made_of() -> None:
    given = {name: f"{name}-x" * 4 for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
    given |= {"mongodb_uri": "mongodb://user:hunter%402@db.example/", "retell_webhook_key": "key_new, key_old"}
    settings = Settings.model_validate(given)
    parts = {"hunter%402", "hunter@2", "key_new", "key_old"}
    assert set(settings.secrets) == set(given.values()) | parts


def test_a_variable_is_named_like_its_setting_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, WORKER_CONCURRENCY="7", RETELL_API_KEY="key", COST_PER_MINUTE="0.2")
    settings = load_settings()
    assert (settings.worker_concurrency, str(settings.cost_per_minute)) == (7, "0.2")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, WORKER_CONCURRENCY="")
    assert load_settings().worker_concurrency == Settings.model_fields["worker_concurrency"].default


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"MONGODB_URI={URI}\nWORKER_CONCURRENCY=7\nMONGODB_POOL_SIZE=8\nOTHER=1\n")
    set_environment(monkeypatch, MONGODB_POOL_SIZE="9")
    settings = load_settings()
    assert (settings.worker_concurrency, settings.mongodb_pool_size) == (7, 9)


def test_an_error_names_everything_that_is_wrong_and_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "WORKER_CONCURRENCY": "hunter2-many",
        "MONGODB_POOL_SIZE": "99999",
        "RETELL_BASE_URL": "ftp://hunter2.example",
        "COST_PER_MINUTE": "-77777",
        "LOG_FORMAT": "hunter2-format",
        "CALL_POLL_SECONDS": "-88888",
        "CORS_ORIGINS": "http://hunter2.example",
        "RETELL_API_KEY": "hunter2 hunter2",
        "RETELL_FROM_NUMBER": "33444 0100",
        "RETELL_WEBHOOK_URL": "http://hunter2.example:hunter2/",
        "MONGODB_DATABASE": "hunter2.db",
        "WORKER_LEASE_SECONDS": "1",
        "AUTH_SECRET": "hunter2",
    }
    set_environment(monkeypatch, **wrong)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert set(re.findall(r"^  ([A-Z_]+): .*must", text, re.MULTILINE)) == {*wrong, "MONGODB_URI"}
    assert len(text.splitlines()) == 1 + len(wrong) + 1
    assert ".env.example" in text
    for value in ("hunter2", "99999", "77777", "88888", "33444"):
        assert value not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_list_that_is_not_json_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, CORS_ORIGINS="http://hunter2.example")
    with pytest.raises(SettingsError, match="CORS_ORIGINS") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_worker_needs_more_and_learns_it_in_the_same_list(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, RETELL_API_KEY="", WORKER_CONCURRENCY="0")
    with pytest.raises(SettingsError) as caught:
        load_settings(WorkerSettings)
    assert set(re.findall(r"^  ([A-Z_]+): ", str(caught.value), re.MULTILINE)) == {
        "RETELL_API_KEY",
        "RETELL_FROM_NUMBER",
        "WORKER_CONCURRENCY",
    }
    set_environment(monkeypatch, RETELL_API_KEY="key", RETELL_FROM_NUMBER="+56225550100", WORKER_CONCURRENCY="1")
    assert load_settings(WorkerSettings).retell_from_number == "+56225550100"


def test_a_dotenv_file_that_is_no_text_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"MONGODB_URI=hunter2\xff\n")
    with pytest.raises(SettingsError, match="UTF-8") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_the_api_ends_with_the_list(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    set_environment(monkeypatch, WORKER_CONCURRENCY="hunter2")
    with pytest.raises(SystemExit) as caught:
        main._served()
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert set(re.findall(r"^  ([A-Z_]+): ", text, re.MULTILINE)) == {"MONGODB_URI", "WORKER_CONCURRENCY"}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(call_worker, []), (call_worker, ["--drain"]), (doctor, []), (check_ledger, []), (create_user, ["a@example.com"])],
)
def test_every_command_ends_with_the_list(
    monkeypatch: pytest.MonkeyPatch, command: ModuleType, arguments: list[str]
) -> None:
    set_environment(monkeypatch, WORKER_CONCURRENCY="hunter2")
    result = CliRunner().invoke(command.cli, arguments)
    assert result.exit_code == 2
    assert {"MONGODB_URI", "WORKER_CONCURRENCY"} <= set(re.findall(r"^  ([A-Z_]+): ", result.output, re.MULTILINE))
    assert "hunter2" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_secrets_do_not_show_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, RETELL_API_KEY="hunter2")
    settings = load_settings()
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("lease", "heartbeat", "fits"), [("60", "20", True), ("60", "20.1", False), ("30", "15", False)]
)
def test_a_lease_outlives_three_heartbeats(
    monkeypatch: pytest.MonkeyPatch, lease: str, heartbeat: str, fits: bool
) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, WORKER_LEASE_SECONDS=lease, WORKER_HEARTBEAT_SECONDS=heartbeat)
    if fits:
        assert load_settings().worker_lease_seconds == float(lease)
        return
    with pytest.raises(SettingsError, match=r"WORKER_LEASE_SECONDS: .* WORKER_HEARTBEAT_SECONDS"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.retellai.com/", "https://api.retellai.com"),
        ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("api.retellai.com", None),
        ("https://", None),
        ("file:///etc/passwd", None),
        ("http://[", None),
        ("http://retell:70000", None),
    ],
)
def test_the_address_of_retell_is_one_that_can_be_called(given: str, kept: str | None) -> None:
    values = {"mongodb_uri": URI, "retell_base_url": given}
    if kept is None:
        with pytest.raises(ValidationError):
            Settings.model_validate(values)
    else:
        assert Settings.model_validate(values).retell_base_url == kept


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ("[]", True),
        ('["*"]', True),
        ('["http://localhost:3000", "https://app.example.com"]', True),
        ('["https://app.example.com/"]', False),  # a browser names no path: it would never match
        ('["app.example.com"]', False),
        ('"https://app.example.com"', False),
        ("[1]", False),
    ],
)
def test_origins_are_those_that_a_browser_names(monkeypatch: pytest.MonkeyPatch, given: str, fits: bool) -> None:
    set_environment(monkeypatch, MONGODB_URI=URI, CORS_ORIGINS=given)
    if fits:
        assert isinstance(load_settings().cors_origins, list)
        return
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        load_settings()


def test_settings_do_not_change_once_they_are_read() -> None:
    settings = Settings.model_validate({"mongodb_uri": URI})
    with pytest.raises(ValidationError, match="frozen"):
        settings.worker_concurrency = 1  # type: ignore[misc]


# .env.example -----------------------------------------------------------------------------------------------------


def example_entries() -> list[str]:
    """`NAME=value` of every line that sets a variable, commented out or not."""
    matches = [ENTRY.fullmatch(line.strip()) for line in EXAMPLE.read_text("utf-8").splitlines()]
    return [match[1] for match in matches if match]


def test_the_example_names_every_setting_once_and_nothing_else() -> None:
    names = [entry.partition("=")[0] for entry in example_entries()]
    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


def test_the_values_of_the_example_are_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dotenv_values(stream=io.StringIO("\n".join(example_entries())), interpolate=False)
    set_environment(monkeypatch, **{name: value or "" for name, value in values.items()})
    if not values.get("MONGODB_URI"):
        set_environment(monkeypatch, MONGODB_URI=URI)
    load_settings()
