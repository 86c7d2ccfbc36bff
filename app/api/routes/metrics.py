"""/metrics, for Prometheus. It is no part of the API's contract, so the OpenAPI document does not have it."""

from fastapi import APIRouter, Request, Response

from app.api.authentication import address_of
from app.api.deps import RuntimeDep
from app.domain.errors import Unauthenticated
from app.domain.scraping import may_scrape

router = APIRouter(tags=["health"])


@router.get("/metrics", include_in_schema=False)
async def get_metrics(runtime: RuntimeDep, request: Request) -> Response:
    """Raises Unauthenticated; see domain.scraping."""
    container = runtime.container
    token = container.settings.metrics_token.get_secret_value()
    if not may_scrape(token, address_of(request), request.headers):
        raise Unauthenticated("metrics_not_for_you")
    # While MongoDB is away, or not prepared, what this process counted itself is told all the same.
    overview = await container.overview.latest() if runtime.is_ready else None
    container.metrics.show(overview, container.clock.now())
    return Response(container.metrics.render(), media_type=container.metrics.content_type)
