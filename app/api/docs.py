"""/docs: Swagger UI, from files of our own process. People type keys there, so nothing of a third party runs on it; and
it works where the internet cannot be reached."""

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter, HTTPException, Request, Response, status
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

_FILES = files("fastapi_offline") / "static"
"""Swagger UI as its makers build it. Nothing else of that package is used."""
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_KEPT = {"Cache-Control": "public, max-age=86400"}
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@router.get("/docs")
async def swagger_ui(request: Request) -> Response:
    root = str(request.scope.get("root_path", "")).rstrip("/")
    app = request.app
    page = get_swagger_ui_html(
        openapi_url=f"{root}{app.openapi_url}",
        title=app.title,
        swagger_js_url=f"{root}/docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/favicon.png",
        # Else it would show our document to swagger.io.
        swagger_ui_parameters={"validatorUrl": None},
    )
    page.headers["Content-Security-Policy"] = _only_ours(bytes(page.body).decode())
    return page


@router.get("/docs/{name}")
async def swagger_ui_file(name: str) -> Response:
    if name not in _TYPES:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return FileResponse(str(_FILES / name), media_type=_TYPES[name], headers=_KEPT)


def _only_ours(html: str) -> str:
    """What the page may load and whom it may ask: this server, and the script that is written in it."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(html))
    scripts = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
