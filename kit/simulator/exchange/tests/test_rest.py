"""A call goes through routing, parameters, authentication, limits and errors."""

import msgspec
import pytest

from kit.simulator.dialect import RestRequest, RestResponse
from kit.simulator.exchange.rest import ApiCall, ApiError, ApiErrors, RestApi, Route
from kit.simulator.matching.contract import KEYS, OrderRejected, RejectCode
from kit.simulator.matching.tests.fake_engine import FakeMarketView, FakeMatchingEngine

ERRORS = ApiErrors(
    rejections={RejectCode.FUNDS: ApiError(7, "no money")},
    unavailable=ApiError(1, "closed"),
    unknown_symbol=ApiError(2, "no symbol"),
    invalid=lambda name: ApiError(3, name),
)


CLOSED = ApiError(5, "closed")


def closed(call: ApiCall) -> object:
    raise CLOSED


def rejected(call: ApiCall) -> object:
    raise OrderRejected(RejectCode.FUNDS)


async def echoed(call: ApiCall) -> object:
    return {**call.parameters, "account": call.account}


def api(**fields: object) -> RestApi:
    routes = {
        "GET /echo": Route(echoed),
        "GET /books/{symbol}": Route(echoed),
        "GET /limit": Route(lambda call: call.limit(10, 50)),
        "POST /reject": Route(rejected),
        "POST /closed": Route(closed),
        "GET /listing": Route(lambda call: call.listing().symbol),
        "GET /orders": Route(lambda call: call.engine.open_orders(call.account), signed=True),
        "GET /secret": Route(echoed, signed=True),
    }
    return RestApi(
        routes=routes,
        errors=ERRORS,
        accept=lambda call, result: RestResponse(msgspec.json.encode(result)),
        reject=lambda call, error: RestResponse(str(error).encode(), error.status),
        unknown=RestResponse(b"", status=404),
        authenticate=lambda request, call: KEYS[0],
        **fields,
    )


async def answered(asked: RestApi, path: str, method: str = "GET", **query: str) -> bytes:
    view = FakeMarketView(FakeMatchingEngine(), [])
    return (await asked.answer(RestRequest(method, path, query), view)).body


async def test_a_route_is_found_by_method_and_path():
    assert await answered(api(), "/echo", a="1") == b'{"a":"1","account":""}'
    assert await answered(api(), "/echo", "POST") == b""


async def test_a_part_of_a_path_is_a_parameter():
    assert await answered(api(), "/books/BTC-USD") == b'{"symbol":"BTC-USD","account":""}'
    assert await answered(api(), "/books/BTC-USD/levels") == b""


async def test_a_signed_call_has_the_account_of_its_key():
    assert await answered(api(), "/secret") == b'{"account":"demo"}'


@pytest.mark.parametrize(
    ("text", "found"), [("", b"10"), ("0", b"1"), ("7", b"7"), ("99", b"50"), ("x", b"3 limit")]
)
async def test_a_limit_is_kept_within_its_bounds(text: str, found: bytes):
    assert await answered(api(), "/limit", limit=text) == found


async def test_errors_of_the_engine_and_of_calls_are_answered_as_the_exchange_writes_them():
    assert await answered(api(), "/reject", "POST") == b"7 no money"
    assert await answered(api(), "/listing", symbol="BTC") == b"2 no symbol"
    view = FakeMarketView(None, [])
    assert (await api().answer(RestRequest("GET", "/orders"), view)).body == b"1 closed"


async def test_a_call_beyond_the_limits_is_rejected_and_every_answer_shows_them():
    def charge(route: Route, call: ApiCall) -> None:
        if call.text("many"):
            raise ApiError(9, "too many", 429)

    def headers(route: Route, call: ApiCall) -> dict[str, str]:
        return {"X-Weight": str(route.weight)}

    view = FakeMarketView(FakeMatchingEngine(), [])
    counted = api(charge=charge, headers=headers)
    assert (await counted.answer(RestRequest("GET", "/echo"), view)).headers == {"X-Weight": "1"}
    full = await counted.answer(RestRequest("GET", "/echo", {"many": "1"}), view)
    assert (full.status, full.body, full.headers) == (429, b"9 too many", {"X-Weight": "1"})


async def test_an_error_that_is_raised_again_keeps_no_frames():
    for _ in range(2):
        assert await answered(api(), "/closed", "POST") == b"5 closed"
        assert (CLOSED.__traceback__, CLOSED.__context__) == (None, None)
