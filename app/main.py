"""The HTTP API: `uvicorn app.main:app`."""

import logging
import sys
from functools import partial

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.api import docs, problems
from app.api.audit import Audit
from app.api.authentication import Authentication
from app.api.authorisation import authorise
from app.api.lifecycle import OneLineRefusal, lifespan
from app.api.middleware import BodyLimit, RequestContext, SecureHeaders
from app.api.openapi import document, operation_id
from app.api.openapi_details import HEADERS
from app.api.parameters import refuse_unknown_parameters
from app.api.routes import (
    account_webhooks,
    accounts,
    api_keys,
    audit_log,
    auth,
    batch_events,
    batches,
    call_presets,
    do_not_call,
    from_numbers,
    guides,
    health,
    imports,
    jobs,
    metrics,
    privacy,
    reading,
    results,
    scripts,
    test_calls,
    uploads,
    users,
    webhooks,
    workers,
)
from app.clock import Clock
from app.config import Settings, SettingsError, load_settings
from app.heap import keep_what_is_loaded
from app.log_config import configure_logging
from app.version import version

API = "/api/v1"
EXPOSED_HEADERS = list(HEADERS)
"""What a browser lets a script of another origin read."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Without `settings` they come from the environment; raises SettingsError."""
    settings = settings or load_settings()
    app = FastAPI(
        title="Cadencia",
        version=version(),
        lifespan=lifespan(settings),
        generate_unique_id_function=operation_id,
        docs_url=None,
        redoc_url=None,
    )
    # The document has more than the routes say; overriding this method is the way that FastAPI documents.
    app.openapi = partial(document, app)  # type: ignore[method-assign]
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(docs.router)
    only_known = Depends(refuse_unknown_parameters)
    # Before the batches: "excel" is no batch id.
    for router in (
        auth.router,
        users.router,
        api_keys.router,
        audit_log.router,
        accounts.router,
        account_webhooks.router,
        uploads.router,
        scripts.router,
        test_calls.router,
        batches.router,
        results.router,
        batch_events.router,
        imports.router,
        jobs.router,
        reading.router,
        do_not_call.router,
        privacy.router,
        call_presets.router,
        guides.router,
        from_numbers.router,
        workers.router,
    ):
        app.include_router(router, prefix=API, dependencies=[Depends(authorise), only_known])
    app.include_router(auth.open_router, prefix=API, dependencies=[only_known])
    app.include_router(webhooks.router, prefix=API)
    problems.install(app)
    # The last one added is the outermost: also a 500 and a 413 carry the headers that a browser asks for.
    app.add_middleware(Audit)
    app.add_middleware(
        Authentication, required=settings.authentication, requests_per_minute=settings.requests_per_minute
    )
    app.add_middleware(BodyLimit, max_upload_megabytes=settings.max_upload_megabytes)
    app.add_middleware(RequestContext, clock=Clock())
    app.add_middleware(SecureHeaders)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    app.add_middleware(OneLineRefusal)
    return app


def _served() -> FastAPI:
    """The app as uvicorn serves it: with settings from the environment and logs."""
    try:
        settings = load_settings()
    except SettingsError as error:
        # uvicorn asks for `app` before it serves anything: the list of what is missing says more than a traceback.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    configure_logging(settings.log_format, settings.log_level, settings.secrets)
    # Its line a request says less than ours.
    logging.getLogger("uvicorn.access").disabled = True
    served = create_app(settings)
    keep_what_is_loaded()
    return served


def __getattr__(name: str) -> FastAPI:
    """`app` is made when it is first asked for, so that importing this module needs no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = _served()
    served: FastAPI = globals()["app"]
    return served
