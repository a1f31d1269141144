"""Answers of the simulated OKX on websockets and over REST."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestResponse, WebsocketSession
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.opened_market import OPENING_NS, get_public, opened_market
from venues.okx.simulator import DIALECTS
from venues.okx.simulator.faults import SERVICE_UPGRADE
from venues.okx.simulator.websocket import NOTICE_S

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def exchange() -> Dialect:
    return DIALECTS["okx"]()


@pytest.fixture(scope="module")
def market_view(exchange: Dialect) -> SimulatedMarketView:
    return opened_market(exchange)


def opened(exchange: Dialect, access: str = "public") -> WebsocketSession:
    session = exchange.open(f"/ws/v5/{access}", {})
    assert session is not None
    return session


async def send(
    exchange: Dialect,
    session: WebsocketSession,
    market_view: SimulatedMarketView,
    operation: str,
    *arguments,
    **rest,
):
    named = [dict(zip(("channel", "instId"), one, strict=True)) for one in arguments]
    text = json.dumps({"op": operation, "args": named, **rest})
    return [json.loads(one) for one in await exchange.receive(session, text, market_view)]


async def get(
    exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object
) -> RestResponse:
    return await get_public(exchange, market_view, f"/api/v5/{path}", **query)


async def rows_of(exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object):
    answer = await get(exchange, market_view, path, **query)
    assert answer.status == 200, answer.body
    body = json.loads(answer.body)
    assert body["code"] == "0", body
    return body["data"]


async def test_subscribing_and_unsubscribing(exchange: Dialect, market_view: SimulatedMarketView):
    session = opened(exchange)
    trades, quotes = ("trades", "BTC-USDT"), ("bbo-tbt", "ETH-USDT")
    first, second = await send(exchange, session, market_view, "subscribe", trades, quotes, id="7")
    assert first == {
        "id": "7",
        "event": "subscribe",
        "arg": {"channel": "trades", "instId": "BTC-USDT"},
        "connId": "a4d3ae55",
    }
    assert second["arg"]["channel"] == "bbo-tbt"
    assert set(session.streams) == {"trades:BTC-USDT", "bbo-tbt:ETH-USDT"}
    (gone,) = await send(exchange, session, market_view, "unsubscribe", trades)
    assert gone["event"] == "unsubscribe"
    assert set(session.streams) == {"bbo-tbt:ETH-USDT"}
    assert await exchange.receive(session, "ping", market_view) == [b"pong"]


async def test_a_book_begins_with_a_snapshot(exchange: Dialect, market_view: SimulatedMarketView):
    answers = await send(
        exchange, opened(exchange), market_view, "subscribe", ("books", "BTC-USDT")
    )
    snapshot = answers[1]
    assert snapshot["action"] == "snapshot"
    (row,) = snapshot["data"]
    assert row["prevSeqId"] == -1
    book = await market_view.book("BTC-USDT")
    assert book is not None
    assert len(row["bids"]) == min(400, len(book.bids))
    assert Decimal(row["bids"][0][0]) == Decimal(book.bids[0][0])
    assert row["bids"][0][2:] == ["0", "1"]
    assert row["seqId"] == book.sequence


async def test_candles_and_tickers_begin_with_the_newest(
    exchange: Dialect, market_view: SimulatedMarketView
):
    session = opened(exchange, "business")
    _, candle = await send(exchange, session, market_view, "subscribe", ("candle1m", "BTC-USDT"))
    _, ticker = await send(
        exchange, opened(exchange), market_view, "subscribe", ("tickers", "BTC-USDT")
    )
    assert candle["data"][0][8] == "0"
    assert candle["data"][0][4] == ticker["data"][0]["last"]


@pytest.mark.parametrize(
    ("access", "channel", "name"),
    [
        ("public", "candle1m", "BTC-USDT"),
        ("business", "trades", "BTC-USDT"),
        ("business", "candle7m", "BTC-USDT"),
        ("public", "trades", "NO-SUCH"),
        ("public", "trades", "BTC-USDT-SWAP"),
        ("public", "index-tickers", "BTC-USDT"),
        ("public", "unknownChannel", "BTC-USDT"),
    ],
)
async def test_an_unknown_channel_or_symbol_is_rejected(
    exchange, market_view, access, channel, name
):
    session = opened(exchange, access)
    good = ("trades" if access == "public" else "candle1m", "BTC-USDT")
    rejected, *confirmed = await send(
        exchange, session, market_view, "subscribe", (channel, name), good
    )
    assert (rejected["event"], rejected["code"]) == ("error", "60018")
    assert f"channel:{channel},instId:{name} doesn't exist" in rejected["msg"]
    assert [one["event"] for one in confirmed if "event" in one] == ["subscribe"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"op":"subscribe"}', '{"op":"dance","args":[{}]}', '{"op":5}', "PING"]
)
async def test_wrong_requests_are_rejected(
    exchange: Dialect, market_view: SimulatedMarketView, text: str
):
    (answer,) = await exchange.receive(opened(exchange), text, market_view)
    assert json.loads(answer)["code"] == "60012"


@pytest.mark.parametrize(
    "path", ["/ws/v5/personal", "/ws/v5", "/public", "/api/v5/public/instruments"]
)
def test_there_are_three_addresses(exchange: Dialect, path: str):
    assert exchange.open(path, {}) is None


def test_a_connection_is_closed_after_its_notice(
    exchange: Dialect, market_view: SimulatedMarketView
):
    session = opened(exchange)
    assert session.shape is not None
    assert session.shape(b"pong") == b"pong"
    assert exchange.tick(session, market_view) == []
    assert session.shape(SERVICE_UPGRADE) == SERVICE_UPGRADE
    for _ in range(NOTICE_S - 1):
        exchange.tick(session, market_view)
    assert session.closing == ""
    exchange.tick(session, market_view)
    assert session.closing == "service upgrade"


async def test_a_book_has_the_requested_number_of_levels(exchange, market_view):
    (book,) = await rows_of(exchange, market_view, "market/books", instId="BTC-USDT", sz=5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    bids, asks = ([Decimal(level[0]) for level in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    (whole,) = await rows_of(exchange, market_view, "market/books", instId="BTC-USDT", sz=400)
    assert whole["bids"][:5] == book["bids"]
    assert all(
        not text.endswith("0") or "." not in text for level in whole["bids"] for text in level
    )


async def test_trades_by_id_have_no_gap(exchange, market_view):
    newest = await rows_of(exchange, market_view, "market/trades", instId="BTC-USDT", limit=500)
    ids = [int(trade["tradeId"]) for trade in newest]
    assert ids == list(range(ids[0], ids[0] - 500, -1))
    path = "market/history-trades"
    page = await rows_of(
        exchange, market_view, path, instId="BTC-USDT", type=1, after=ids[10], limit=100
    )
    assert page == newest[11:111]
    few = await rows_of(
        exchange, market_view, path, instId="BTC-USDT", after=ids[10], before=ids[14], limit=100
    )
    assert few == newest[11:14]
    alone = await rows_of(exchange, market_view, path, instId="BTC-USDT", before=ids[50], limit=9)
    assert alone == newest[:9]


async def test_trades_before_a_time(exchange, market_view):
    end_ms = OPENING_NS // 10**6 + 3_000
    found = await rows_of(
        exchange,
        market_view,
        "market/history-trades",
        instId="BTC-USDT",
        type=2,
        after=end_ms,
        limit=3,
    )
    (newest, *_) = found
    assert all(int(one["ts"]) < end_ms for one in found)
    (later,) = await rows_of(
        exchange, market_view, "market/history-trades", instId="BTC-USDT",
        after=int(newest["tradeId"]) + 2, limit=1,
    )  # fmt: skip
    assert int(later["ts"]) >= end_ms


@pytest.mark.parametrize(
    ("bar", "length_ms", "begins_ms"),
    [
        ("1m", 60_000, 0),
        ("4H", 4 * HOUR_MS, 0),
        ("1Dutc", 24 * HOUR_MS, 0),
        ("1D", 24 * HOUR_MS, 16 * HOUR_MS),
        ("1Wutc", 168 * HOUR_MS, 96 * HOUR_MS),
        ("1W", 168 * HOUR_MS, 88 * HOUR_MS),
    ],
)
async def test_candles_follow_one_another(exchange, market_view, bar, length_ms, begins_ms):
    rows = await rows_of(exchange, market_view, "market/candles", instId="BTC-USDT", bar=bar)
    starts = [int(row[0]) for row in rows]
    assert starts == list(range(starts[0], starts[-1] - 1, -length_ms))
    assert all(start % length_ms == begins_ms for start in starts)
    assert [row[8] for row in rows] == ["0"] + ["1"] * (len(rows) - 1)
    if len(rows) > 3:
        between = await rows_of(
            exchange, market_view, "market/history-candles", instId="BTC-USDT", bar=bar,
            after=starts[0], before=starts[3],
        )  # fmt: skip
        assert between == rows[1:3]


async def test_volumes_of_swaps_are_in_contracts(
    exchange: Dialect, market_view: SimulatedMarketView
):
    swaps = DIALECTS["okx_futures"]()
    swap_view = opened_market(swaps)
    for dialect, its_view, name, contract in (
        (exchange, market_view, "ETH-USDT", Decimal(1)),
        (swaps, swap_view, "ETH-USDT-SWAP", Decimal("0.1")),
    ):
        (row,) = await rows_of(dialect, its_view, "market/candles", instId=name, bar="1m", limit=1)
        low, high, volume, middle, quote = (Decimal(row[place]) for place in (3, 2, 5, 6, 7))
        assert low * volume * contract <= quote <= high * volume * contract
        assert middle == (quote if dialect is exchange else volume * contract)


async def test_funding_of_swaps_can_be_requested(
    exchange: Dialect, market_view: SimulatedMarketView
):
    swaps = DIALECTS["okx_futures"]()
    swap_view = opened_market(swaps)
    name = "BTC-USDT-SWAP"
    (funding,) = await rows_of(swaps, swap_view, "public/funding-rate", instId=name)
    assert int(funding["fundingTime"]) > OPENING_NS // 10**6
    assert int(funding["nextFundingTime"]) - int(funding["fundingTime"]) == 8 * HOUR_MS
    answer = await get(exchange, market_view, "public/funding-rate", instId="BTC-USDT")
    assert json.loads(answer.body)["code"] == "51001"


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("market/books", {}, "50014"),
        ("market/books", {"instId": "NOPE"}, "51001"),
        ("market/books", {"instId": "BTC-USDT", "sz": "many"}, "51000"),
        ("market/history-trades", {"instId": "BTC-USDT", "after": "-5"}, "51000"),
        ("market/candles", {"instId": "BTC-USDT", "bar": "7m"}, "51000"),
        ("public/funding-rate", {"instId": "BTC-USDT"}, "51001"),
        ("public/instruments", {}, "51000"),
        ("public/instruments", {"instType": "SPOT", "instId": "NOPE"}, "51001"),
    ],
)
async def test_wrong_calls_are_rejected_with_errors_of_okx(
    exchange, market_view, path, query, code
):
    answer = await get(exchange, market_view, path, **query)
    assert (answer.status, json.loads(answer.body)["code"]) == (200, code)


async def test_instruments_have_all_members_that_clients_read(exchange, market_view):
    rows = await rows_of(exchange, market_view, "public/instruments", instType="SPOT")
    found = {row["instId"]: row for row in rows}
    assert {"BTC-USDT", "ETH-USDT", "SOL-USDT"} <= found.keys()
    assert found["BTC-USDT"]["tickSz"] == "0.1"
    assert found["BTC-USDT"]["lotSz"] == "0.00000001"
    assert "simulator" not in found["BTC-USDT"]
    one = await rows_of(
        exchange, market_view, "public/instruments", instType="SPOT", instId="ETH-USDT"
    )
    assert one == [found["ETH-USDT"]]
    for other in ("SWAP", "FUTURES", "OPTION"):
        assert await rows_of(exchange, market_view, "public/instruments", instType=other) == []
    swaps = DIALECTS["okx_futures"]()
    (swap, *_) = await rows_of(swaps, opened_market(swaps), "public/instruments", instType="SWAP")
    assert (swap["ctVal"], swap["ctValCcy"], swap["uly"]) == ("0.01", "BTC", "BTC-USDT")


async def test_a_halted_instrument_is_listed_as_suspended(exchange, market_view):
    market_view.relist("ETH-USDT", halted=True)
    rows = await rows_of(exchange, market_view, "public/instruments", instType="SPOT")
    market_view.relist("ETH-USDT", halted=False)
    states = {row["instId"]: row["state"] for row in rows}
    assert (states["ETH-USDT"], states["BTC-USDT"]) == ("suspend", "live")


def test_every_failure_has_a_body(exchange: Dialect):
    for status in (418, 429, 500):
        assert json.loads(exchange.failures[status])["code"].startswith("50")
