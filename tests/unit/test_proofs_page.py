"""docs/proofs.md names tests; a proof that is gone must not be claimed."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_page_names_exists() -> None:
    page = (ROOT / "docs" / "proofs.md").read_text("utf-8")
    sources = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    named_tests = set(re.findall(r"(?:`|::)(test_\w+)`", page))
    named_files = set(re.findall(r"`((?:\w+/)?test_\w+\.py)", page))

    assert len(named_tests) > 20
    assert {name for name in named_tests if not any(f"def {name}(" in text for text in sources.values())} == set()
    assert {name for name in named_files if not any(str(path).endswith(f"/{name}") for path in sources)} == set()
