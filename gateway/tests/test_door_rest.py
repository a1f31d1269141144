"""REST, pages and what a browser may do, through the real Envoy."""

import asyncio
import json

import pytest

from gateway import service_contracts
from gateway.envoy_clusters import BUFFER_BYTES
from gateway.service_contracts import PLACEHOLDER
from gateway.tests.fakes import UNLISTED, process
from kit.base import backoff
from kit.base.rpc import STREAM_WRITER
from tests.support.waiting import WAIT_SECONDS_MAX

HTTP_OK = 200
KNOWN_ORIGIN = {"Origin": "http://localhost:5173"}
"""In the setting gateway.origins of the door."""
FOREIGN_ORIGIN = {"Origin": "https://example.com"}


async def test_a_list_comes_as_json(directory, browser):
    async with process(directory, "rest"):
        answer = await until_ok(browser, "/v1/venues/rest/instruments?page_size=2")
    assert [entry["symbol"] for entry in answer["instruments"]] == ["S00000", "S00001"]
    assert answer["instruments"][0]["unified_symbol"] == ""


async def test_an_answer_may_be_larger_than_envoys_buffers(directory, browser):
    async with process(directory, "rest-large"):
        answer = await until_ok(browser, "/v1/venues/rest-large/instruments?page_size=1000")
    assert len(answer["instruments"]) == 1_000
    assert len(json.dumps(answer)) > BUFFER_BYTES


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT", "BTC-USDT:SWAP", "BTC USDT"])
async def test_any_symbol_fits_into_a_path(symbol, directory, browser):
    quoted = symbol.replace("/", "%2F").replace(" ", "%20")
    async with process(directory, "rest-symbol"):
        answer = await until_ok(browser, f"/v1/venues/rest-symbol/instruments/{quoted}/book")
    assert (answer["venue"], answer["symbol"]) == ("rest-symbol", symbol)


async def test_integers_of_64_bits_come_as_text(directory, browser):
    async with process(directory, "rest-long"):
        answer = await until_ok(browser, "/v1/venues/rest-long/instruments/A/book")
    assert answer["last_sequence"] == str(2**53 + 1)


async def test_a_path_may_end_in_a_verb(directory, browser):
    async with process(directory, "rest-verb"):
        answer = await until_ok(browser, "/v1/venues/rest-verb/instruments/BTC%2FUSDT/book:verify")
    assert (answer["symbol"], answer["verdict"]) == ("BTC/USDT", "BOOK_VERDICT_AGREES")


async def test_nobody_outside_can_say_that_he_writes_the_streams(directory, browser):
    async with process(directory, "rest-header") as opened:
        path, (name, value) = "/v1/venues/rest-header/instruments/A/book", STREAM_WRITER
        await until_ok(browser, path)
        async with browser.get(path, headers={name: value, "venuemesh-other": "1"}) as response:
            assert response.status == HTTP_OK
        assert opened.venue.metadata["venuemesh-other"] == "1"
        assert name not in opened.venue.metadata


@pytest.mark.parametrize("shown", ["", "r-21", "7f3b2c1a-9d4e-4f60-8a11-5c0e2d9b6a42"])
async def test_the_request_id_reaches_the_process_and_the_caller(shown, directory, browser):
    headers = {"x-request-id": shown} if shown else {}
    async with process(directory, "rest-id") as opened:
        path = "/v1/venues/rest-id/instruments/A/book"
        await until_ok(browser, path)
        async with browser.get(path, headers=headers) as response:
            request_id = response.headers["x-request-id"]
        assert request_id == (shown or opened.venue.metadata["x-request-id"])
        assert opened.venue.metadata["x-request-id"] == request_id


@pytest.mark.parametrize(
    "path", ["/v1/venues/nowhere/instruments/A/book", "/v1/services?unknown=1"]
)
async def test_the_request_id_is_in_the_body_of_an_error(path, browser):
    async with browser.get(path) as response:
        (info,) = (await response.json())["details"]
        assert info["metadata"]["request_id"] == response.headers["x-request-id"]


async def test_a_stream_is_one_object_per_line(directory, browser):
    async with process(directory, "rest-stream") as venue:
        await until_ok(browser, "/v1/venues/rest-stream/instruments")
        async with (
            asyncio.timeout(WAIT_SECONDS_MAX),
            browser.get("/v1/venues/rest-stream/stream") as response,
        ):
            assert response.content_type == "application/x-ndjson"
            for sequence in range(1, 4):
                message = json.loads(await response.content.readline())
                assert message["batches"][0]["cursor"]["sequence"] == str(sequence)
                venue.venue.next_batch.set()


async def test_a_body_fills_the_request(directory, browser):
    async with process(directory, "rest-admin") as opened:
        await until_ok(browser, "/v1/services/rest-admin/status")
        path = "/v1/services/rest-admin:setLogLevel"
        async with browser.post(path, json={"level": "debug"}) as response:
            assert response.status == HTTP_OK
        assert opened.admin.levels == ["debug"]


async def test_a_body_names_no_other_process_than_the_path(directory, browser):
    async with process(directory, "rest-two") as opened:
        await until_ok(browser, "/v1/services/rest-two/status")
        path, body = "/v1/services/rest-two:setLogLevel", {"level": "debug"}
        async with browser.post(path, json=body | {"service_id": "other"}) as response:
            error = await response.json()
        assert (response.status, error["details"][0]["reason"]) == (400, "BAD_REQUEST")
        assert "rest-two" in error["message"]
        assert "other" in error["message"]
        assert opened.admin.levels == []
        async with browser.post(path, json=body | {"service_id": "rest-two"}) as response:
            assert response.status == HTTP_OK


@pytest.mark.parametrize("body", [{"levle": "info"}, {"level": "info", "levle": "debug"}])
async def test_an_unknown_field_of_a_body_is_refused(body, directory, browser):
    async with process(directory, "rest-unknown") as opened:
        await until_ok(browser, "/v1/services/rest-unknown/status")
        async with browser.post("/v1/services/rest-unknown:setLogLevel", json=body) as response:
            error = await response.json()
        assert (response.status, error["details"][0]["reason"]) == (400, "BAD_REQUEST")
        assert '"levle"' in error["message"]
        assert opened.admin.levels == []


async def test_an_unknown_field_in_a_list_of_a_streaming_call_is_refused(directory, browser):
    body = {"selectors": [{"venue": "one"}, {"venue": "two", "symbol": ["BTCUSDT"]}]}
    async with process(directory, "bridge", kind="bridge"), asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            async with browser.post("/v1/live:subscribe", json=body) as response:
                error = json.loads(await response.content.readline())
            if error["details"][0]["reason"] == "BAD_REQUEST":
                break
    assert response.status == 400
    assert '"symbol" at "SubscribeRequest.selectors[1]"' in error["message"]


async def test_a_call_may_have_no_body(directory, browser):
    async with process(directory, "rest-empty") as opened:
        await until_ok(browser, "/v1/services/rest-empty/status")
        async with browser.post("/v1/services/rest-empty:setLogLevel") as response:
            assert response.status == HTTP_OK
        assert opened.admin.levels == [""]


async def test_a_query_reaches_the_process_that_can_refuse_it(directory, browser):
    async with process(directory, "rest-twice"):
        path = "/v1/venues/rest-twice/instruments/A/book"
        await until_ok(browser, path)
        # The path has chosen the process; see MarketDataServicer for its answer.
        async with browser.get(f"{path}?venue=other") as response:
            assert (await response.json())["venue"] == "other"


async def test_a_streaming_call_may_have_a_body(directory, browser):
    body = {"selectors": [{"venue": "one"}, {"venue": "two"}]}
    async with process(directory, "bridge", kind="bridge"), asyncio.timeout(WAIT_SECONDS_MAX):
        status = 0
        while status != HTTP_OK:
            async with browser.post("/v1/live:subscribe", json=body) as response:
                status = response.status
                lines = [json.loads(line) async for line in response.content]
    assert [line["batches"][0]["venue"] for line in lines] == ["one", "two"]


async def test_an_unknown_venue_is_said_to_be_unknown(browser):
    async with browser.get("/v1/venues/nowhere/instruments") as response:
        error = await response.json()
    assert (response.status, error["code"]) == (404, 5)
    assert error["details"][0]["reason"] == "UNKNOWN_SERVICE"
    assert error["details"][0]["metadata"]["name"] == "nowhere"


async def test_the_error_of_a_stream_is_a_status_too(directory, browser):
    async with process(directory, "rest-error"):
        await until_ok(browser, "/v1/venues/rest-error/instruments")
        async with browser.get(f"/v1/venues/rest-error/stream?symbols={UNLISTED}") as response:
            error = await response.json()
    assert (response.status, error["details"][0]["reason"]) == (404, "UNKNOWN_INSTRUMENT")


async def test_a_process_that_is_down_is_unavailable(directory, browser):
    async with process(directory, "rest-down") as venue:
        await until_ok(browser, "/v1/venues/rest-down/instruments")
        await venue.server.stop(None)
        async with browser.get("/v1/venues/rest-down/instruments") as response:
            error = await response.json()
    assert (response.status, error["code"]) == (503, 14)
    assert error["details"][0]["reason"] == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("query", "said"), [("page_sise=2", "page_sise"), ("page_size=many", "many")]
)
async def test_a_wrong_parameter_is_named(query, said, directory, browser):
    async with process(directory, "rest-query"):
        await until_ok(browser, "/v1/venues/rest-query/instruments")
        async with browser.get(f"/v1/venues/rest-query/instruments?{query}") as response:
            error = await response.json()
    assert (response.status, error["details"][0]["reason"]) == (400, "BAD_REQUEST")
    assert said in error["message"]


async def test_a_body_that_is_not_json_is_refused(browser):
    async with browser.post("/v1/services/registry:pause", data='{"') as response:
        error = await response.json()
    assert (response.status, error["code"]) == (400, 3)


async def test_a_path_that_is_in_no_contract_is_not_found(browser):
    async with browser.get("/v1/nothing") as response:
        error = await response.json()
    assert (response.status, error["code"]) == (404, 5)
    async with browser.get("/v1/services/registry:drain") as response:
        assert response.status == 404


async def test_every_documented_path_is_routed(browser):
    async with browser.get("/openapi.json") as response:
        paths = (await response.json())["paths"]
    bound = [m.binding for c in service_contracts.load().services for m in c.methods if m.binding]
    assert len(bound) == sum(len(verbs) for verbs in paths.values())
    for path, verbs in paths.items():
        for verb in verbs:
            url = PLACEHOLDER.sub("nobody", path)
            body = {"json": {}} if verb == "post" else {}
            async with browser.request(verb, url, **body) as response:
                # Whatever it answers, it does not come from the pages, which know no reasons.
                said = json.loads(await response.content.readline())
            assert response.status == HTTP_OK or said["details"], (verb, path)


async def test_a_page_of_a_known_host_may_call(browser):
    async with browser.get("/v1/services", headers=KNOWN_ORIGIN) as response:
        assert response.status == HTTP_OK
        assert response.headers["Access-Control-Allow-Origin"] == KNOWN_ORIGIN["Origin"]
        assert "grpc-status-details-bin" in response.headers["Access-Control-Expose-Headers"]


async def test_a_page_of_a_known_host_may_ask_first(browser):
    wanted = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-grpc-web,venuemesh-venue",
    }
    path = "/venuemesh.marketdata.v1.MarketData/ListInstruments"
    async with browser.options(path, headers=KNOWN_ORIGIN | wanted) as response:
        assert response.status == HTTP_OK
        assert "venuemesh-venue" in response.headers["Access-Control-Allow-Headers"]
    async with browser.options(path, headers=FOREIGN_ORIGIN | wanted) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        FOREIGN_ORIGIN,
        {"Origin": "null"},
        {"Origin": "http://localhost.example.com"},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://example.com:80/localhost"},
        {"Host": "example.com"},
    ],
)
async def test_a_page_of_another_host_cannot_drive_the_mesh(headers, directory, browser):
    async with process(directory, "rest-foreign") as opened:
        await until_ok(browser, "/v1/services/rest-foreign/status")
        # As a page can send it without asking first.
        simple = headers | {"Content-Type": "text/plain"}
        path = "/v1/services/rest-foreign:setLogLevel"
        async with browser.post(path, data='{"level":"debug"}', headers=simple) as response:
            error = await response.json()
    assert (response.status, error["details"][0]["reason"]) == (403, "FOREIGN_PAGE")
    assert opened.admin.levels == []


async def test_the_pages_are_behind_the_same_door(door, browser):
    async with browser.get("/healthz") as response:
        assert (response.status, await response.text()) == (HTTP_OK, "ok\n")
    async with browser.get("/") as response:
        assert "npm run build" in await response.text()
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_prometheus_finds_envoys_figures_and_nothing_else(door, browser):
    url = f"http://127.0.0.1:{door.ports['public_port'] + 10_000}"
    async with browser.get(f"{url}/metrics") as response:
        assert "envoy_cluster_upstream_rq_total" in await response.text()
    async with browser.post(f"{url}/quitquitquit") as response:
        assert response.status == 404


async def until_ok(browser, path):
    """The answer, as soon as Envoy has the route."""
    # The calls of one token are limited, and a busy machine refills their number late.
    pauses = backoff.delays(0.02, 0.5)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            async with browser.get(path) as response:
                if response.status == HTTP_OK:
                    return await response.json()
            await asyncio.sleep(next(pauses))
