"""Seconds in place of minutes, for the processes of the proofs: the same code waits, only less long.

What operators can set comes by environment variables (`FAST` in tests/e2e). These spans are constants of the
product, because nobody has a reason to change them; a proof that waited them out would take an hour.
"""

import os
from datetime import timedelta
from functools import partial
from types import ModuleType

import app.bootstrap
import app.services.batch_creation
import app.services.call_following
import app.services.claiming
import app.services.importing
import app.services.imports
import workers.call_worker
from app.services.call_tuning import CallTuning

VERIFY_PATIENCE = "CHAOS_VERIFY_PATIENCE_SECONDS"
"""The environment variable for what may not be short wherever a paused batch is to be found as it was."""


def shorten() -> None:
    """In this process, from now on."""
    _set(workers.call_worker, "TIDY_SECONDS", 1.0)
    _set(app.services.claiming, "RECHECK_SECONDS", 3)
    _set(app.services.call_following, "UNCERTAIN_POLL_SECONDS", 1)
    for module in (app.services.importing, app.services.imports, app.services.batch_creation):
        _set(module, "IMPORT_LEASE", timedelta(seconds=3))
    patience = os.environ.get(VERIFY_PATIENCE)
    if patience:
        _set(app.bootstrap, "CallTuning", partial(CallTuning, verify_patience=timedelta(seconds=float(patience))))


def _set(module: ModuleType, name: str, value: object) -> None:
    if not hasattr(module, name):
        raise AttributeError(f"{module.__name__} has no {name} any more")
    setattr(module, name, value)
