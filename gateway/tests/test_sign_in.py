"""Signing in: links, tokens, and the sessions of browsers, without Envoy."""

from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway import service_contracts
from gateway.issued_tokens import RENEWALS_MAX, IssuedTokens
from gateway.sessions import Sessions
from gateway.sign_in import SignInPages
from gateway.sign_in_links import (
    ADDRESSES_MAX,
    LINKS_MAX,
    VALID_S,
    WRONG_CODES_PER_SECOND,
    SignInLinks,
)
from gateway.tests.fakes import StillClock
from gateway.token_service import MeshTokens
from gateway.web import WebPages
from kit.base.access import tokens
from kit.base.access.authority import Authority
from kit.base.access.roles import CALLER_ROLES, Role
from kit.base.access.tokens import MeshNames, TokenTerms, TokenVerifier
from kit.base.errors import CallerLimited, TokenExpired, TokenInvalid, TokenRevoked

NAMES = MeshNames("local")
HOUR_S = 3_600
HERE = "10.0.0.1"
SESSION_COOKIE = "session_8081"
MEANT = {"x-venuemesh-request": "1"}
CONTRACTS = service_contracts.load()
ADMIN = TokenTerms("lena", frozenset({Role.ADMIN}), 12 * HOUR_S)
VIEWER = TokenTerms("lena", frozenset({Role.VIEWER}), 2 * HOUR_S)
FOR_MODEL = TokenTerms("robot", frozenset({Role.TRADER}), HOUR_S, kind=tokens.MODEL)


class Parts:
    """What the pages are made of, with a clock that stands still."""

    def __init__(self, folder) -> None:
        self.clock = StillClock()
        self.authority = Authority(folder, self.clock)
        self.tokens = MeshTokens(
            self.authority, IssuedTokens(folder, self.clock), NAMES, self.clock
        )
        self.links = SignInLinks(self.clock)
        self.verifier = TokenVerifier(NAMES, self.clock)
        self.sessions = Sessions(self.tokens, self.links, self.verifier, self.clock)

    def caller(self, text):
        """Who shows this token."""
        self.verifier.trust(self.tokens.trusted)
        return self.verifier.verify(text)

    def code(self, terms=ADMIN):
        return parse_qs(urlsplit(self.links.create(terms).path).query)["code"][0]


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path / "authority")


@pytest.fixture
async def client(parts, tmp_path):
    sign_in = SignInPages(parts.sessions, SESSION_COOKIE)
    pages = WebPages(tmp_path / "dist", CONTRACTS, SESSION_COOKIE, sign_in.routes())
    async with TestClient(TestServer(pages.application())) as opened:
        yield opened


def sign_in(client, form, **headers):
    """Send the form, as the page does."""
    own = {"Origin": str(client.make_url("/")).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    return client.post("/sign-in", data=form, headers=own | headers, allow_redirects=False)


def session_of(answer):
    return SimpleCookie(answer.headers["Set-Cookie"])[SESSION_COOKIE]


async def test_a_link_signs_a_browser_in_once(client, parts):
    code = parts.code()
    async with sign_in(client, {"code": code, "next": "/#/orders/kraken"}) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/#/orders/kraken")
        caller = parts.caller(session_of(answer).value)
        assert (caller.name, caller.roles) == ("lena", frozenset(CALLER_ROLES))
    async with sign_in(client, {"code": code}) as answer:
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers
        page = await answer.text()
        assert "this link was used before" in page
        assert "./venuemesh token link" in page


async def test_looking_at_a_link_does_not_use_it(client, parts):
    link = parts.links.create(ADMIN).path
    for _ in range(2):
        async with client.get(link) as answer:
            assert answer.status == 200
            assert "Set-Cookie" not in answer.headers
    code = parse_qs(urlsplit(link).query)["code"][0]
    async with sign_in(client, {"code": code}) as answer:
        assert answer.status == 303


async def test_a_link_expires(client, parts):
    code = parts.code()
    parts.clock.pass_seconds(VALID_S)
    async with sign_in(client, {"code": code}) as answer:
        assert answer.status == 401


async def test_the_cookie_is_for_the_browser_alone(client, parts):
    async with sign_in(client, {"code": parts.code()}) as answer:
        cookie = session_of(answer)
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert cookie["max-age"] == str(12 * HOUR_S)
        assert not cookie["secure"]
    encrypted = {"X-Forwarded-Proto": "https"}
    async with sign_in(client, {"code": parts.code()}, **encrypted) as answer:
        assert session_of(answer)["secure"]


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_origin_is_refused(client, parts, foreign):
    code = parts.code()
    async with sign_in(client, {"code": code}, **foreign) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
    async with sign_in(client, {"code": code}) as answer:
        assert answer.status == 303


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\r\nb: c", ""]
)
async def test_nobody_is_sent_to_another_site(client, parts, place):
    async with sign_in(client, {"code": parts.code(), "next": place}) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_what_a_link_says_is_text(client):
    async with client.get("/sign-in", params={"code": '"><script>', "next": '/"><b>'}) as answer:
        page = await answer.text()
        assert "<script>" not in page
        assert "<b>" not in page
        assert answer.headers["Cache-Control"] == "no-store"
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
        # With "no-referrer" the browser would send the form with the origin "null".
        assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_a_token_begins_a_session_that_ends_with_it(client, parts):
    text, token = parts.tokens.issue(VIEWER, "ops")
    async with sign_in(client, {"token": f" {text}\n"}) as answer:
        session = session_of(answer)
    caller = parts.caller(session.value)
    assert (caller.name, caller.roles) == ("lena", {Role.VIEWER})
    assert caller.token_id != token.token_id
    assert session["max-age"] == str(2 * HOUR_S)
    parts.clock.pass_seconds(HOUR_S)
    assert parts.sessions.renew(session.value).valid_s == HOUR_S
    parts.sessions.end(session.value)
    assert parts.caller(text).name == "lena"


@pytest.mark.parametrize("kind", ["none", "damaged", "expired", "of a process", "for a model"])
async def test_a_token_that_is_not_valid_begins_nothing(kind, client, parts):
    process = TokenTerms("binance", frozenset({Role.PROCESS}), HOUR_S, kind="venue")
    past = TokenTerms("lena", frozenset({Role.VIEWER}), -HOUR_S)
    signing = parts.authority.signing
    text = {
        "none": "",
        "damaged": parts.tokens.issue(VIEWER, "ops")[0][:-4],
        "expired": tokens.issue(past, signing, NAMES, parts.clock)[0],
        "for a model": parts.tokens.issue(FOR_MODEL, "ops")[0],
        "of a process": tokens.issue(process, signing, NAMES, parts.clock)[0],
    }[kind]
    async with sign_in(client, {"token": text}) as answer:
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers


def test_a_token_for_a_model_stays_one_when_it_is_renewed(parts):
    text, token = parts.tokens.issue(FOR_MODEL, "ops")
    renewed, _ = parts.tokens.renew(token.token_id)
    assert [parts.caller(one).is_model for one in (text, renewed)] == [True, True]


async def test_a_revoked_token_takes_its_sessions_with_it(parts):
    text, token = parts.tokens.issue(VIEWER, "ops")
    session = parts.sessions.begin_by_token(text)
    renewed = parts.sessions.renew(session.token)
    parts.tokens.revoke(token.token_id)
    for ended in (text, session.token, renewed.token):
        with pytest.raises(TokenRevoked):
            parts.caller(ended)


async def test_studio_renews_its_session(client, parts):
    session = parts.sessions.begin_by_link(parts.code(), HERE)
    cookies = {"Cookie": f"{SESSION_COOKIE}={session.token}"}
    async with client.post("/session/renew", headers=cookies) as answer:
        assert answer.status == 403
    async with client.post("/session/renew", headers=cookies | MEANT) as answer:
        assert answer.status == 204
        renewed = session_of(answer)
    assert parts.caller(renewed.value).first_token_id == parts.caller(session.token).token_id


async def test_signing_out_ends_the_session_and_its_renewals(client, parts):
    session = parts.sessions.begin_by_link(parts.code(), HERE)
    renewed = parts.sessions.renew(session.token)
    cookies = {"Cookie": f"{SESSION_COOKIE}={renewed.token}"}
    foreign = {"Origin": "https://evil.example"}
    async with client.post("/sign-out", headers=cookies | MEANT | foreign) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
    assert parts.caller(session.token)
    async with client.post("/sign-out", headers=cookies | MEANT) as answer:
        assert answer.status == 204
        assert session_of(answer)["max-age"] == "0"
    for ended in (session.token, renewed.token):
        with pytest.raises(TokenRevoked):
            parts.caller(ended)


async def test_a_session_that_has_expired_is_not_renewed(client, parts):
    session = parts.sessions.begin_by_link(parts.code(), HERE)
    parts.clock.pass_seconds(session.valid_s)
    with pytest.raises(TokenExpired):
        parts.sessions.renew(session.token)
    cookies = {"Cookie": f"{SESSION_COOKIE}={session.token}"}
    async with client.post("/session/renew", headers=cookies | MEANT) as answer:
        assert answer.status == 401


def test_codes_cannot_be_guessed_quickly(parts):
    code = parts.code()
    for _ in range(WRONG_CODES_PER_SECOND):
        with pytest.raises(TokenInvalid):
            parts.links.use("guess", HERE)
    with pytest.raises(CallerLimited):
        parts.links.use(code, HERE)
    parts.clock.pass_seconds(1)
    assert parts.links.use(code, HERE) == ADMIN


def test_who_guesses_holds_up_nobody_else(parts):
    code = parts.code()
    for _ in range(WRONG_CODES_PER_SECOND):
        with pytest.raises(TokenInvalid):
            parts.links.use("guess", HERE)
    assert parts.links.use(code, "10.0.0.2") == ADMIN


def test_of_too_many_who_guess_the_first_is_forgotten(parts):
    for address in (HERE, *map(str, range(ADDRESSES_MAX))):
        for _ in range(WRONG_CODES_PER_SECOND):
            with pytest.raises(TokenInvalid):
                parts.links.use("guess", address)
    with pytest.raises(CallerLimited):
        parts.links.use("guess", str(ADDRESSES_MAX - 1))
    assert parts.links.use(parts.code(), HERE) == ADMIN


def test_what_processes_verify_with_is_computed_when_it_changes(parts):
    text, token = parts.tokens.issue(VIEWER, "ops")
    before = parts.tokens.trusted
    assert parts.tokens.trusted is before
    parts.sessions.begin_by_token(text)
    assert parts.tokens.trusted.revision == before.revision
    parts.tokens.revoke(token.token_id)
    revoked = parts.tokens.trusted
    assert revoked.revision != before.revision
    assert token.token_id in revoked.revoked_token_ids
    parts.tokens.rotate()
    assert parts.tokens.trusted.revision != revoked.revision
    rotated = parts.tokens.trusted
    parts.tokens.trust_platform({"keys": ["one"]})
    assert parts.tokens.trusted.revision != rotated.revision


def test_of_too_many_unused_links_the_oldest_is_forgotten(parts):
    oldest, second, *_ = [parts.code() for _ in range(LINKS_MAX + 1)]
    with pytest.raises(TokenInvalid):
        parts.links.use(oldest, HERE)
    assert parts.links.use(second, HERE) == ADMIN


def test_a_token_cannot_fill_the_list_of_tokens(parts):
    text, token = parts.tokens.issue(VIEWER, "admin")
    for _ in range(RENEWALS_MAX):
        renewed, newest = parts.tokens.renew(token.token_id)
        parts.sessions.begin_by_token(text)
    with pytest.raises(CallerLimited):
        parts.tokens.renew(newest.token_id)
    # Of the renewed one it is the same list.
    with pytest.raises(CallerLimited):
        parts.sessions.begin_by_token(renewed)
    other, _ = parts.tokens.issue(VIEWER, "admin")
    assert parts.sessions.begin_by_token(other)


def test_a_session_of_a_renewed_token_ends_with_its_chain(parts):
    _, token = parts.tokens.issue(VIEWER, "admin")
    parts.clock.pass_seconds(HOUR_S)
    text, renewed = parts.tokens.renew(token.token_id)
    session = parts.sessions.begin_by_token(text)
    # The first token is forgotten.
    parts.clock.pass_seconds(HOUR_S)
    parts.tokens.revoke(renewed.token_id)
    with pytest.raises(TokenRevoked):
        parts.caller(session.token)
