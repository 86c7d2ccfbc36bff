"""Whatever is asked of the API, it answers, and as its OpenAPI document says: never with a 5xx."""

from pathlib import Path
from typing import Any

import pytest

from app.api import problems
from app.domain.messages import CATALOGUE, Language
from app.main import create_app
from app.repositories.embedded_mongod import EmbeddedMongod
from tests.conftest import make_settings
from tests.fuzzing.asking import ask

SEED = 20_261_123


@pytest.mark.timeout(600)  # some five thousand requests
async def test_schemathesis_finds_nothing(
    mongod: EmbeddedMongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Always the same questions. `make fuzz` asks new ones, and more."""
    wrong = set[str]()

    def translated(problem: dict[str, Any], language: Language) -> str:
        wrong.add(problem["type"])
        return original(problem, language)

    original = problems._translated
    monkeypatch.setattr(problems, "_translated", translated)
    verdict = await ask(mongod.uri, tmp_path, examples=5, seed=SEED)
    assert verdict.exit_code == 0, verdict.text
    document = create_app(make_settings(mongod.uri)).openapi()
    assert verdict.report["operations"]["tested"] == sum(len(methods) for methods in document["paths"].values())
    assert verdict.report["test_cases"]["generated"] > 1000
    assert len(wrong) > 20
    assert {kind for kind in wrong if kind not in CATALOGUE and f"input_{kind}" not in CATALOGUE} == set()
