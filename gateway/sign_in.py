"""The page for signing in, and what Studio calls to renew and end the session of a browser."""

import html
import re
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from aiohttp import web

from gateway.envoy_browsers import MEANT
from gateway.envoy_errors import NOT_MEANT_CALL
from gateway.envoy_routes import REMOTE_ADDRESS
from gateway.sessions import Session, Sessions
from gateway.sign_in_links import PATH
from kit.base.errors import OriginNotAllowed, VenuemeshError

FOLDER = Path(__file__).parent / "sign_in_page"
FILES = {"page.css": "text/css", "page.js": "text/javascript"}
OWN_PATH = re.compile(r"/(?![/\\])[^\s\\]*")
HOME = "/"
STATUS = {"RESOURCE_EXHAUSTED": 429, "PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # Without it the browser does not tell where a form comes from.
    "Referrer-Policy": "same-origin",
}


class SignInPages:
    """The pages around the sessions of browsers."""

    def __init__(self, sessions: Sessions, cookie: str) -> None:
        """``cookie``: the name of the one that holds a session."""
        self._sessions = sessions
        self._cookie = cookie
        self._template = Template((FOLDER / "page.html").read_text())

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self._open),
            web.post(PATH, self._sign_in),
            web.get(f"{PATH}/{{name}}", self._file),
            web.post("/session/renew", self._renew),
            web.post("/sign-out", self._sign_out),
        ]

    async def _open(self, request: web.Request) -> web.Response:
        # A link is not used by looking at it: programs that show a preview open it too.
        return self._page(request.query.get("next", ""), code=request.query.get("code", ""))

    async def _file(self, request: web.Request) -> web.FileResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        content_type = f"{FILES[name]}; charset=utf-8"
        return web.FileResponse(FOLDER / name, headers=HEADERS | {"Content-Type": content_type})

    async def _sign_in(self, request: web.Request) -> web.Response:
        form = {name: str(value).strip() for name, value in (await request.post()).items()}
        code, place = form.get("code", ""), form.get("next", "")
        try:
            _require_own_page(request)
            session = (
                self._sessions.begin_by_link(code, request.headers.get(REMOTE_ADDRESS, ""))
                if code
                else self._sessions.begin_by_token(form.get("token", ""))
            )
        except VenuemeshError as error:
            return self._page(place, error=error)
        answer = web.Response(status=303, headers=HEADERS | {"Location": _own_path(place)})
        self._keep(answer, session, request)
        return answer

    async def _renew(self, request: web.Request) -> web.Response:
        try:
            _require_meant(request)
            session = self._sessions.renew(request.cookies.get(self._cookie, ""))
        except VenuemeshError as error:
            return _refusal(error)
        answer = web.Response(status=204, headers=HEADERS)
        self._keep(answer, session, request)
        return answer

    async def _sign_out(self, request: web.Request) -> web.Response:
        answer = web.Response(status=204, headers=HEADERS)
        try:
            _require_meant(request)
            self._sessions.end(request.cookies.get(self._cookie, ""))
        except VenuemeshError as error:
            answer = _refusal(error)
        if answer.status != STATUS["PERMISSION_DENIED"]:
            answer.del_cookie(self._cookie, path="/", httponly=True, samesite="Strict")
        return answer

    def _page(
        self, place: str, *, code: str = "", error: VenuemeshError | None = None
    ) -> web.Response:
        text = self._template.substitute(
            code=html.escape(code),
            next=html.escape(_own_path(place)),
            message=html.escape(error.message) if error else "",
            has_message="" if error else "hidden",
            by_link="" if code else "hidden",
            by_token="hidden" if code else "",
        )
        status = STATUS.get(error.code.name, 400) if error else 200
        return web.Response(text=text, content_type="text/html", status=status, headers=HEADERS)

    def _keep(self, answer: web.Response, session: Session, request: web.Request) -> None:
        """Let the browser keep the session."""
        answer.set_cookie(
            self._cookie,
            session.token,
            max_age=session.valid_s,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=request.headers.get("x-forwarded-proto") == "https",
        )


def _own_path(place: str) -> str:
    """A path of this origin, to which the browser is sent."""
    return place if OWN_PATH.fullmatch(place) else HOME


def _require_own_page(request: web.Request) -> None:
    """Raise OriginNotAllowed for a form of another origin, which would sign the browser in as
    somebody else. A program that is no browser says neither."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    is_own = origin is None or urlsplit(origin).netloc == request.host
    if not is_own or site not in (None, "same-origin"):
        raise OriginNotAllowed("the form was sent by a page of another origin: use this one")


def _require_meant(request: web.Request) -> None:
    """Raise OriginNotAllowed for a call that a page of another origin could make."""
    _require_own_page(request)
    header, value = MEANT
    if request.headers.get(header) != value:
        raise NOT_MEANT_CALL


def _refusal(error: VenuemeshError) -> web.Response:
    status = STATUS.get(error.code.name, 400)
    body = {"code": error.code.value[0], "message": error.message}
    return web.json_response(body, status=status, headers=HEADERS)
