"""`uvicorn tests.chaos.crashing_api:app`: the API with short spans and, if told so, its own death."""

from tests.chaos.deaths import arm_from_environment
from tests.chaos.spans import shorten

shorten()
arm_from_environment()

from app.main import app  # noqa: E402 - made only after it was wrapped

__all__ = ["app"]
