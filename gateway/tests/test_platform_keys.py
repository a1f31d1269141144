"""The keys of the platform's issuer."""

import asyncio
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.platform_keys import FILE, INTERVAL_S, KEPT_S_MAX, PlatformKeys, read_keys
from gateway.tests.fakes import StillClock
from kit.base.access.authority import public_jwk
from tests.support.waiting import until

KEY = public_jwk("one", Ed25519PrivateKey.generate().public_key())
OTHER = public_jwk("two", Ed25519PrivateKey.generate().public_key())


class Issuer:
    """Serves a key set, or fails."""

    def __init__(self) -> None:
        self.content = json.dumps({"keys": [KEY]})
        self.status = 200
        self.reads = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.reads += 1
        return web.Response(text=self.content, status=self.status)


@pytest.fixture
async def issuer():
    served = Issuer()
    application = web.Application()
    application.router.add_get("/jwks", served.answer)
    async with TestServer(application) as server:
        served.url = str(server.make_url("/jwks"))
        yield served


async def test_the_last_keys_stay_while_the_issuer_fails(issuer, tmp_path):
    clock, seen = StillClock(), []
    started_ns = clock.now_ns
    running = asyncio.create_task(PlatformKeys(issuer.url, tmp_path, seen.append, clock).run())
    await until(lambda: seen)
    issuer.status = 500
    reads = issuer.reads
    await until(lambda: issuer.reads > reads + 2)
    assert seen == [{"keys": [KEY]}]
    issuer.content, issuer.status = json.dumps({"keys": [KEY, OTHER]}), 200
    await until(lambda: len(seen) > 1)
    assert seen[1] == {"keys": [KEY, OTHER]}
    assert clock.now_ns - started_ns >= INTERVAL_S * 1e9
    running.cancel()


async def test_the_last_keys_outlive_a_restart_while_the_issuer_fails(issuer, tmp_path):
    clock = StillClock()
    await PlatformKeys(issuer.url, tmp_path, lambda keys: None, clock).refresh()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    issuer.status = 500

    async def after_restart(url: str) -> list:
        seen, reads = [], issuer.reads
        running = asyncio.create_task(PlatformKeys(url, tmp_path, seen.append, clock).run())
        await until(lambda: issuer.reads > reads)
        running.cancel()
        return seen

    assert await after_restart(issuer.url) == [{"keys": [KEY]}]
    # Those of another issuer are not those of this one.
    assert await after_restart(f"{issuer.url}?other") == []
    clock.pass_seconds(KEPT_S_MAX + 1)
    assert await after_restart(issuer.url) == []


@pytest.mark.parametrize("content", [b"", b"{}", b'{"url":1}', b"\xff"])
async def test_a_damaged_file_of_keys_is_like_none(content, issuer, tmp_path):
    (tmp_path / FILE).write_bytes(content)
    seen = []
    keys = PlatformKeys(issuer.url, tmp_path, seen.append, StillClock())
    running = asyncio.create_task(keys.run())
    await until(lambda: seen)
    assert seen == [{"keys": [KEY]}]
    running.cancel()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kid": "shared", "kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {key: value for key, value in OTHER.items() if key != "kid"},
        OTHER | {"d": "private"},
        OTHER | {"use": "enc"},
        {"kid": "odd", "kty": "odd"},
    ],
)
def test_a_key_that_must_not_be_used_is_left_out(wrong):
    assert read_keys(json.dumps({"keys": [wrong, KEY]}).encode()) == {"keys": [KEY]}
    with pytest.raises(ValueError, match="no key"):
        read_keys(json.dumps({"keys": [wrong]}).encode())


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}"])
def test_an_answer_without_keys_is_an_error(content):
    with pytest.raises(ValueError, match=r".*"):
        read_keys(content)
