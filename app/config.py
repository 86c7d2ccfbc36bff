"""Settings: the only reader of the environment (and of a `.env` file). `.env.example` lists every one of them."""

import json
import os
import re
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_ORIGIN = re.compile(r"\*|https?://[^/?#\s]+")


class Settings(BaseSettings):
    """Every value can be set by an environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    # MongoDB -------------------------------------------------------------------------------------------------------
    mongodb_uri: SecretStr
    """A replica set (one node is enough), MongoDB 6 or newer. A standalone server is refused."""
    mongodb_database: str = Field(default="cadencia", max_length=60, pattern="^[A-Za-z0-9_-]+$")
    mongodb_pool_size: int = Field(default=32, ge=4, le=500)
    """Connections a process; no more operations than this run at once."""
    mongodb_timeout_seconds: Seconds = 5
    """How long to look for a primary before saying that MongoDB is away."""
    migrate_at_start: bool = True
    """False: API and workers wait until somebody has run `python -m scripts.migrate`."""

    # Retell --------------------------------------------------------------------------------------------------------
    retell_base_url: str = "https://api.retellai.com"
    retell_api_key: SecretStr = SecretStr("")
    retell_agent_id: str = ""
    """Empty: the agent that is bound to the from-number at Retell."""
    retell_from_number: str = ""
    retell_webhook_url: str = ""
    """The public address of POST /api/v1/webhooks/retell, sent with each call. Empty: Retell's own setting decides."""
    retell_webhook_key: SecretStr = SecretStr("")
    """What webhooks are signed with: Retell's API key that has the webhook badge; while it is being changed two, with a
    comma between. Empty: `retell_api_key`."""
    retell_reads_per_second: float = Field(default=50, gt=0, le=1000)
    """Questions about calls that one worker process asks at most, however many calls it follows."""
    retell_calls_per_second: float = Field(default=1, ge=0, le=1000)
    """What Retell lets the workspace start (1 unless raised), shared by all workers; 0: as many as come."""
    retell_max_concurrent_calls: int | None = Field(default=None, ge=1)
    """Calls at once over all accounts and workers, where it is to be less than what Retell allows."""
    retell_create_timeout_seconds: Seconds = 20
    """How long to wait for the answer to a create; after that the call counts as perhaps placed."""
    retell_read_timeout_seconds: Seconds = 15

    # Prices of accounts that do not have their own ------------------------------------------------------------------
    cost_per_minute: Decimal = Field(default=Decimal("0.15"), ge=0)
    credits_per_minute: Decimal = Field(default=Decimal("1"), gt=0)
    billing_increment_seconds: int = Field(default=1, ge=1, le=60)

    # Worker --------------------------------------------------------------------------------------------------------
    worker_concurrency: int = Field(default=200, ge=1, le=2000)
    """Calls that one worker process handles at once."""
    worker_poll_seconds: Seconds = 0.5
    """How often an idle worker looks for what others have made due (± 20 %); what time makes due it looks for then."""
    worker_heartbeat_seconds: Seconds = 15
    worker_lease_seconds: Seconds = 60  # after what it is compared with
    worker_shutdown_seconds: Seconds = 45
    """How long a stopping worker waits for requests under way; live calls are handed over, not waited for."""
    worker_health_file: str = ""
    """Written as long as the worker is alive; `python -m workers.health` reads it. Empty: none."""
    worker_metrics_host: str = "127.0.0.1"
    worker_metrics_port: int = Field(default=0, ge=0, le=65535)
    """Where a worker serves GET /metrics and /health/live; 0: nowhere."""
    call_poll_seconds: Seconds = 5
    """How often a young call is looked up at Retell (with ±20 % jitter); less and less often as it lasts."""
    call_poll_max_seconds: Seconds = 20
    """The longest time between two looks."""
    call_details_grace_seconds: Seconds = 30
    """How long to wait, after a call's end, for its cost and analysis before settling without them."""
    provider_retry_seconds: Seconds = 60
    """First delay before a job is dialed again after trouble at the provider; doubles up to an hour."""
    balance_recheck_seconds: Seconds = 300

    # Webhooks that are sent ----------------------------------------------------------------------------------------
    webhook_log_days: int = Field(default=7, ge=3, le=365)
    """How long what was sent can be seen and sent again. Not less than the tries may take: with a receiver that asks
    for the longest waits, nearly three days."""
    webhook_timeout_seconds: float = Field(default=15, gt=0, le=30)
    """How long a receiver may take to answer."""
    webhook_disable_after_days: float = Field(default=5, gt=0, le=30)
    """A webhook that fails for so long, without one success, is switched off."""
    webhook_any_target: bool = False
    """True: also http:// and addresses of private networks. Only for a laptop: whoever may make a webhook could have
    this network's own services called."""

    # Personal data -------------------------------------------------------------------------------------------------
    retention_days: int = Field(default=0, ge=0, le=3650)
    """Days from a batch's end to the erasing of its contacts, for accounts that do not say otherwise; 0: never."""
    recording_retention_days: int = Field(default=0, ge=0, le=3650)
    """The same for the links to recordings, and the calls at Retell."""

    # API -----------------------------------------------------------------------------------------------------------
    max_upload_megabytes: int = Field(default=50, ge=1, le=50)
    upload_retention_hours: int = Field(default=24, ge=1)
    """How long a previewed file can be turned into a batch."""
    import_waited_for_contacts: int = Field(default=2000, ge=0)
    """Imports of more contacts than this go on after the answer; up to so many, the answer tells how they ended."""
    cors_origins: Annotated[list[str], NoDecode] = []
    """A JSON list. `NoDecode`: else one that is not JSON would hide whatever else is wrong."""
    authentication: bool = True
    """False: every request may do everything. Only for a laptop."""
    auth_secret: SecretStr = SecretStr("")
    """Signs access tokens, 32 characters or more. Empty: one is made and kept in the database, for all processes."""
    access_token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    refresh_token_days: int = Field(default=14, ge=1, le=365)
    requests_per_minute: int = Field(default=1200, ge=10)
    """Of one user, key or (without one) address, at one API process."""

    # Monitoring ----------------------------------------------------------------------------------------------------
    metrics_token: SecretStr = SecretStr("")
    """What whoever reads /metrics must show. Empty: only who asks from the same machine may."""

    # Logs ----------------------------------------------------------------------------------------------------------
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def secrets(self) -> list[str]:
        """The values that nobody must read in a log: of every secret setting, and the parts that some are made of."""
        values = [value.get_secret_value().strip() for _, value in self if isinstance(value, SecretStr)]
        user_info = urlsplit(self.mongodb_uri.get_secret_value()).netloc.rpartition("@")[0]
        password = user_info.partition(":")[2]
        keys = self.retell_webhook_key.get_secret_value().split(",")
        return [value for value in (*values, *(key.strip() for key in keys), password, unquote(password)) if value]

    @field_validator("retention_days")
    @classmethod
    def _outlasts_what_is_told(cls, value: int) -> int:
        if 0 < value < 7:
            raise ValueError("must be 0 (never) or at least 7: webhooks are repeated and questions asked for some days")
        return value

    @field_validator("retell_base_url", "retell_webhook_url")
    @classmethod
    def _is_http(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "retell_webhook_url":
            return value
        if not _is_address(value):
            raise ValueError("must be an http:// or https:// address")
        return value.rstrip("/")

    @field_validator("auth_secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("mongodb_uri")
    @classmethod
    def _names_a_server(cls, value: SecretStr) -> SecretStr:
        if not re.match(r"mongodb(\+srv)?://[^/?]", value.get_secret_value()):
            raise ValueError("must look like mongodb://user:password@host:27017/?replicaSet=rs0")
        return value

    @field_validator("retell_from_number")
    @classmethod
    def _is_a_phone(cls, value: str) -> str:
        if value and not re.fullmatch(r"\+[1-9][0-9]{6,14}", value):
            raise ValueError("must be an international number, + and digits alone, such as +56225550100")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _are_origins(cls, value: object) -> object:
        try:
            origins = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            origins = None
        if not isinstance(origins, list) or not all(
            isinstance(origin, str) and _ORIGIN.fullmatch(origin) for origin in origins
        ):
            raise ValueError('must be a JSON list of origins without a path, such as ["https://app.example.com"]')
        return origins

    @field_validator("metrics_token", "retell_api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[!-~]*", value.get_secret_value().strip()):
            raise ValueError("must have only printable ASCII characters, without spaces")
        return value

    @field_validator("worker_lease_seconds")
    @classmethod
    def _leases_outlive_what_they_cover(cls, value: float, info: ValidationInfo) -> float:
        # A worker that cannot renew dials for two thirds of its lease; the last request must be over before another
        # worker may take its job for unsure and send it again.
        covered = ("worker_heartbeat_seconds", "retell_create_timeout_seconds")
        # One that is wrong itself is not there.
        too_long = [name.upper() for name in covered if value < 3 * info.data.get(name, 0)]
        if too_long:
            raise ValueError(f"must be at least three times {' and three times '.join(too_long)}")
        return value


class WorkerSettings(Settings):
    """A worker places calls: these have no default there."""

    retell_api_key: SecretStr
    retell_from_number: str


class SettingsError(Exception):
    """The environment does not make valid settings; the text names each variable and what is expected of it."""


def load_settings(of: type[Settings] = Settings) -> Settings:
    """Read the environment. Raises SettingsError listing everything that is wrong or missing, never a value."""
    try:
        return of()
    except ValidationError as error:
        problems = "\n".join(f"  {_name(problem)}: {_expected(problem)}" for problem in error.errors())
        raise SettingsError(f"These settings are wrong or missing (see .env.example):\n{problems}") from None
    except (OSError, UnicodeError):
        raise SettingsError("The file .env cannot be read: it must be readable, and text in UTF-8.") from None


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Of the host or the port. Its text may quote them.
        return False


def _name(problem: ErrorDetails) -> str:
    return str(problem["loc"][0]).upper()


def _expected(problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return "must be set"
    # Ours begin with "must"; pydantic's with "Input should", "String should" and the like.
    return re.sub(r"^[\w ]+ should", "must", problem["msg"].removeprefix("Value error, "))


def inherited_environment() -> dict[str, str]:
    """This process's environment, for starting child processes."""
    return dict(os.environ)
