"""Web pages: Studio, the API document, the page for signing in, and a health check of the
gateway."""

import asyncio
import fcntl
import json
import ssl
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from gateway.openapi import document
from gateway.push import asyncapi
from gateway.service_contracts import ContractSet
from kit.base.errors import SettingError

ASSETS = "assets/"
INDEX, DOCS = "index.html", "docs.html"
YEAR_S = 31_536_000
NEVER_CHANGES = f"public, max-age={YEAR_S}, immutable"
ALWAYS_ASK = "no-cache"

# Not from the table of the machine, because machines differ.
CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}

HEADERS = {
    # Charts set styles from scripts, which count as inline styles.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

BUILD_LOCK = ".build.lock"
"""Beside the folder of Studio's build; locked while it is being built."""
BUILDING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<title>Venuemesh</title>
<h1>Studio is being built</h1>
<p>This page loads again until it is ready. The gateway runs, and its API with it: see
<a href="/openapi.json">openapi.json</a>.</p>
</html>
"""
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Venuemesh</title>
<h1>Studio is not built</h1>
<p>The gateway runs, and its API with it: see <a href="/openapi.json">openapi.json</a>.</p>
<p>To have Studio here, install Node 24 (at least 22.12) with npm, then run</p>
<pre>cd studio &amp;&amp; npm ci &amp;&amp; npm run build</pre>
<p>and load this page again.</p>
</html>
"""


class WebPages:
    """Serves one Studio and one set of contracts."""

    def __init__(
        self,
        studio: Path,
        contracts: ContractSet,
        session_cookie: str,
        routes: Iterable[web.RouteDef] = (),
    ) -> None:
        """``session_cookie``: its name. ``routes``: those of further pages."""
        self._studio = studio.absolute()
        self._routes = tuple(routes)
        documents = {
            "/openapi.json": document(contracts, session_cookie),
            "/asyncapi.json": asyncapi.document(),
        }
        self._documents = {path: json.dumps(one, indent=1) for path, one in documents.items()}

    async def run(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serve, endlessly. Raises SettingError if the port is in use."""
        runner = web.AppRunner(self.application(), access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port, ssl_context=tls).start()
            except OSError:
                allowed = "is in use; stop what uses it or change it"
                raise SettingError("gateway.web_port", port, allowed) from None
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def application(self) -> web.Application:
        """The pages as an application, without a server."""
        application = web.Application()
        application.on_response_prepare.append(_add_headers)
        application.router.add_get("/healthz", self._health)
        for path in self._documents:
            application.router.add_get(path, self._document)
        application.router.add_get("/docs", self._docs_page)
        application.add_routes(self._routes)
        application.router.add_route("*", "/v1/{path:.*}", self._no_such_path)
        application.router.add_get("/{path:.*}", self._studio_file)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _document(self, request: web.Request) -> web.Response:
        text = self._documents[request.path]
        return web.json_response(text=text, headers={"Cache-Control": ALWAYS_ASK})

    async def _docs_page(self, request: web.Request) -> web.StreamResponse:
        return self._built_page(DOCS)

    async def _no_such_path(self, request: web.Request) -> web.Response:
        message = f"no {request.method} {request.path}: see /openapi.json"
        return web.json_response({"code": 5, "message": message, "details": []}, status=404)

    async def _studio_file(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        file = (self._studio / path).resolve()
        if file.is_relative_to(self._studio) and file.is_file():
            return _file(file, NEVER_CHANGES if path.startswith(ASSETS) else ALWAYS_ASK)
        if path.startswith(ASSETS) or Path(path).suffix in CONTENT_TYPES:
            raise web.HTTPNotFound
        # Studio's script shows any other path.
        return self._built_page(INDEX)

    def _built_page(self, name: str) -> web.StreamResponse:
        page = self._studio / name
        if not page.is_file():
            text = BUILDING if _is_locked(self._studio.parent / BUILD_LOCK) else NOT_BUILT
            return web.Response(text=text, content_type="text/html", status=503)
        return _file(page, ALWAYS_ASK)


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _file(file: Path, cache: str) -> web.FileResponse:
    content_type = CONTENT_TYPES.get(file.suffix, "application/octet-stream")
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    return web.FileResponse(file, headers={"Cache-Control": cache, "Content-Type": content_type})


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
