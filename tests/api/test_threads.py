"""Nothing of a page that is read is done in a thread: each trip there and back costs as much as a query."""

from typing import Any

import anyio.to_thread
import httpx
import pytest

FILES = (".xlsx", ".csv", "/events")
"""Made in processes and threads of their own, or never over."""


async def test_no_request_for_a_page_goes_through_a_thread(
    api: httpx.AsyncClient, batch: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = (await api.get("jobs")).json()
    known = {"account_id": batch["account_id"], "batch_id": batch["batch_id"], "job_id": job["job_id"]}
    document = (await api.get("http://cadencia.test/openapi.json")).json()
    paths = [path for path, methods in document["paths"].items() if "get" in methods and not path.endswith(FILES)]
    gone: list[tuple[str, Any]] = []
    asked = ""

    async def noted(function: Any, *args: Any, **_: Any) -> Any:
        gone.append((asked, function))
        return function(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", noted)
    answered = set[str]()
    for asked in paths:
        url = asked
        for name, value in known.items():
            url = url.replace("{" + name + "}", value)
        if (await api.get(f"http://cadencia.test{url}")).is_success:
            answered.add(asked)
    assert gone == []
    assert answered >= {"/api/v1/jobs", "/api/v1/calls/history", "/api/v1/batches/{batch_id}/status"}
    assert len(answered) > 20
