"""Studio's files and the API's documents, without Envoy."""

import fcntl
import json
import re

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway import openapi, service_contracts
from gateway.push import asyncapi
from gateway.web import WebPages
from kit.base.errors import SettingError

CONTRACTS = service_contracts.load()
DOCUMENT = openapi.document(CONTRACTS, "session")


async def test_the_documents_of_rest_and_of_the_websocket_are_served(client):
    for path, expected in (("/openapi.json", DOCUMENT), ("/asyncapi.json", asyncapi.document())):
        async with client.get(path) as response:
            assert response.status == 200
            assert await response.json() == expected


@pytest.fixture
def studio(tmp_path):
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Studio</title>")
    (folder / "docs.html").write_text("<!doctype html><title>API</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-4f2a.js").write_text("let studio;")
    (folder / "assets" / "inter-9c01.woff2").write_bytes(b"wOF2")
    (tmp_path / "secret.txt").write_text("not for you")
    return folder


@pytest.fixture
async def client(studio):
    async with TestClient(
        TestServer(WebPages(studio, CONTRACTS, "session").application())
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "content_type", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/venues/binance/BTC%2FUSDT", "text/html; charset=utf-8", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
        (
            "/assets/index-4f2a.js",
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
        ("/assets/inter-9c01.woff2", "font/woff2", "public, max-age=31536000, immutable"),
    ],
)
async def test_a_file_has_its_type_and_says_how_long_it_holds(client, path, content_type, cache):
    async with client.get(path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == content_type
        assert response.headers["Cache-Control"] == cache


@pytest.mark.parametrize("path", ["/assets/old-1234.js", "/robots.txt", "/assets/"])
async def test_a_missing_file_is_not_mistaken_for_a_page(client, path):
    async with client.get(path) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", ["/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"])
async def test_nothing_outside_of_studio_is_served(client, path):
    async with client.get(path) as response:
        assert "not for you" not in await response.text()


async def test_a_link_that_leads_outside_is_not_followed(client, studio):
    (studio / "leak.txt").symlink_to(studio.parent / "secret.txt")
    async with client.get("/leak.txt") as response:
        assert response.status == 404


@pytest.mark.parametrize("path", ["/", "/healthz", "/openapi.json", "/docs", "/assets/none.js"])
async def test_every_answer_tells_the_browser_to_be_strict(client, path):
    async with client.get(path) as response:
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_without_studio_the_page_says_how_to_build_it(tmp_path, studio):
    pages = WebPages(tmp_path / "later", CONTRACTS, "session")
    async with TestClient(TestServer(pages.application())) as client:
        async with client.get("/") as response:
            assert response.status == 503
            assert "npm run build" in await response.text()
        with (tmp_path / ".build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            async with client.get("/") as response:
                assert "Studio is being built" in await response.text()
        async with client.get("/") as response:
            assert "Studio is not built" in await response.text()
        studio.rename(tmp_path / "later")
        async with client.get("/") as response:
            assert "Studio</title>" in await response.text()


async def test_without_studio_the_document_of_the_api_is_served(tmp_path):
    pages = WebPages(tmp_path / "later", CONTRACTS, "session")
    async with TestClient(TestServer(pages.application())) as client:
        async with client.get("/docs") as response:
            assert response.status == 503
            assert 'href="/openapi.json"' in await response.text()
        async with client.get("/openapi.json") as response:
            assert (await response.json())["openapi"] == "3.1.0"


async def test_a_port_in_use_is_a_wrong_setting(client, studio):
    with pytest.raises(SettingError, match="web_port"):
        await WebPages(studio, CONTRACTS, "session").run("127.0.0.1", client.port)


async def test_the_documents_are_served(client):
    async with client.get("/openapi.json") as response:
        assert await response.json() == json.loads(json.dumps(DOCUMENT))
    async with client.get("/docs") as response:
        assert "<title>API</title>" in await response.text()


def test_every_binding_is_documented():
    for contract in CONTRACTS.services:
        for method in contract.methods:
            if method.binding is None:
                continue
            operation = DOCUMENT["paths"][method.binding.path][method.binding.verb.lower()]
            assert operation["description"]
            in_path = {
                parameter["name"]: parameter["required"]
                for parameter in operation["parameters"]
                if parameter["in"] == "path"
            }
            assert in_path == dict.fromkeys(method.binding.fields, True)
            assert ("requestBody" in operation) == method.binding.has_body


def test_every_reference_in_the_document_leads_somewhere():
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)))
    assert references
    for reference in references:
        found = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert found


def test_operations_have_names_of_their_own():
    names = [
        operation["operationId"]
        for verbs in DOCUMENT["paths"].values()
        for operation in verbs.values()
    ]
    assert len(names) == len(set(names))
    assert "History.ListBars" in names


def test_inner_fields_become_parameters():
    operation = DOCUMENT["paths"]["/v1/history/{venue}/{symbol}/trades"]["get"]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    start = parameters["range.start_time_ns"]
    assert start["schema"] == {"type": "string", "format": "int64"}
    assert start["description"] == "First time in the range."


def test_what_stands_in_the_path_is_not_asked_for_in_the_body():
    operation = DOCUMENT["paths"]["/v1/services/{service_id}:setLogLevel"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert list(schema["properties"]) == ["level"]


def test_the_reasons_of_errors_are_documented():
    details = DOCUMENT["components"]["schemas"]["Error"]["properties"]["details"]
    reason = details["items"]["properties"]["reason"]
    assert "UNKNOWN_SERVICE" in reason["enum"]
    assert "UNSPECIFIED" not in reason["enum"]
    assert "- UNKNOWN_SERVICE: NOT_FOUND." in reason["description"]
