"""What the API has loaded is left out of garbage collection: a full one would keep every request waiting."""

import subprocess
import sys
from pathlib import Path

from app.config import inherited_environment

ASKED = "import gc, app.main; app.main.app; print(gc.get_freeze_count())"


def test_the_served_app_is_kept() -> None:
    environment = inherited_environment() | {"MONGODB_URI": "mongodb://127.0.0.1:9", "RETELL_API_KEY": "key_simulator"}
    asked = [sys.executable, "-c", ASKED]
    frozen = subprocess.run(asked, env=environment, cwd=Path(__file__).parents[2], capture_output=True, check=True)
    assert int(frozen.stdout) > 50_000
