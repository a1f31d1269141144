"""Answers of the simulated Coinbase on websockets and over REST."""

import json
from decimal import Decimal

import pytest

from kit.simulator.dialect import Dialect, RestResponse
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.tests.opened_market import OPENING_NS, get_public, opened_market
from venues.coinbase.simulator import coinbase_spot
from venues.coinbase.simulator.websocket import CoinbaseSession

OPENING_S = OPENING_NS // 10**9
MARKET = "/api/v3/brokerage/market"


@pytest.fixture(scope="module")
def exchange() -> Dialect:
    return coinbase_spot()


@pytest.fixture(scope="module")
def market_view(exchange: Dialect) -> SimulatedMarketView:
    return opened_market(exchange)


@pytest.fixture
def session(exchange: Dialect) -> CoinbaseSession:
    found = exchange.open("/", {})
    assert isinstance(found, CoinbaseSession)
    return found


class Talk:
    """A conversation over one connection."""

    def __init__(
        self, exchange: Dialect, market_view: SimulatedMarketView, session: CoinbaseSession
    ) -> None:
        self._exchange = exchange
        self._market_view = market_view
        self.session = session

    async def say(self, **message: object) -> list[dict]:
        return await self.say_text(json.dumps({"type": "subscribe", **message}))

    async def say_text(self, text: str) -> list[dict]:
        answers = await self._exchange.receive(self.session, text, self._market_view)
        shape = self.session.shape
        return [json.loads(shape(one) if shape else one) for one in answers]

    def tick(self) -> list[dict]:
        shape = self.session.shape
        texts = self._exchange.tick(self.session, self._market_view)
        return [json.loads(shape(one) if shape else one) for one in texts]


@pytest.fixture
def talk(exchange: Dialect, market_view: SimulatedMarketView, session: CoinbaseSession) -> Talk:
    return Talk(exchange, market_view, session)


async def ask(
    exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object
) -> RestResponse:
    return await get_public(exchange, market_view, path, **query)


async def asked(exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object):
    answer = await ask(exchange, market_view, path, **query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


async def test_a_subscription_to_advanced_begins_with_data_then_the_answer(talk: Talk) -> None:
    book, answer = await talk.say(channel="level2", product_ids=["BTC-USD"])
    assert (book["channel"], book["sequence_num"]) == ("l2_data", 0)
    assert book["events"][0]["type"] == "snapshot"
    assert (answer["channel"], answer["sequence_num"]) == ("subscriptions", 1)
    assert answer["events"] == [{"subscriptions": {"level2": ["BTC-USD"]}}]
    trades, _ = await talk.say(channel="market_trades", product_ids=["BTC-USD"])
    ticker, _ = await talk.say(channel="ticker", product_ids=["BTC-USD"])
    ids = [int(trade["trade_id"]) for trade in trades["events"][0]["trades"]]
    assert ids == list(range(ids[0], ids[0] - len(ids), -1))  # newest first
    assert ticker["events"][0]["tickers"][0]["product_id"] == "BTC-USD"


async def test_all_frames_of_a_connection_to_advanced_are_counted(talk: Talk) -> None:
    frames = await talk.say(channel="heartbeats")
    frames += await talk.say(channel="candles", product_ids=["BTC-USD", "NOPE-USD"])
    frames += talk.tick()
    assert [frame["sequence_num"] for frame in frames] == [0, 1, 2, 3]
    assert frames[2]["events"] == [
        {"subscriptions": {"heartbeats": ["heartbeats"], "candles": ["BTC-USD"]}}
    ]
    assert frames[3]["events"][0]["heartbeat_counter"] == 1
    candles = frames[1]["events"][0]["candles"]
    assert all(int(candle["start"]) % 300 == 0 for candle in candles)
    (answer,) = await talk.say(type="unsubscribe", channel="candles", product_ids=["BTC-USD"])
    assert answer["events"] == [{"subscriptions": {"heartbeats": ["heartbeats"]}}]


async def test_exchange_answers_first_and_then_begins(talk: Talk) -> None:
    answer, *frames = await talk.say(
        product_ids=["BTC-USD"], channels=["level2_batch", "matches", "ticker", "heartbeat"]
    )
    assert {channel["name"] for channel in answer["channels"]} == {
        "level2_batch",
        "matches",
        "ticker",
        "heartbeat",
    }
    assert [frame["type"] for frame in frames] == ["snapshot", "last_match", "ticker"]
    (beat,) = talk.tick()
    assert beat["last_trade_id"] == frames[1]["trade_id"] == frames[2]["trade_id"]
    assert beat["sequence"] == frames[2]["sequence"]
    assert frames[1]["side"] != frames[2]["side"]  # the maker's, and the taker's
    again = {"name": "level2", "product_ids": ["ETH-USD"]}
    answer, book = await talk.say(channels=[again])
    assert book["product_id"] == "ETH-USD"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"channels": ["matches"], "product_ids": ["NOPE-USD"]}, "NOPE-USD is not a valid product"),
        ({"channels": ["gossip"], "product_ids": ["BTC-USD"]}, "gossip is not a valid channel"),
        ({"channels": []}, "no channel or no product"),
    ],
)
async def test_invalid_messages_to_exchange_are_rejected(
    talk: Talk, message: dict, words: str
) -> None:
    (answer,) = await talk.say(**message)
    assert (answer["type"], answer["reason"]) == ("error", words)
    assert not talk.session.streams


@pytest.mark.parametrize(
    "message",
    [
        {"channel": "gossip", "product_ids": ["BTC-USD"]},
        {"channel": "user", "product_ids": ["BTC-USD"]},
        {"type": "dance", "channel": "level2"},
    ],
)
async def test_invalid_messages_to_advanced_are_rejected(talk: Talk, message: dict) -> None:
    (answer,) = await talk.say(**message)
    assert answer["type"] == "error"
    assert "sequence_num" not in answer
    assert not talk.session.streams


@pytest.mark.parametrize("text", ["{", '{"type":5}', '{"channels":[5],"product_ids":["BTC-USD"]}'])
async def test_an_invalid_message_is_rejected(talk: Talk, text: str) -> None:
    (answer,) = await talk.say_text(text)
    assert answer["type"] == "error"


def test_both_feeds_are_at_the_root(exchange: Dialect) -> None:
    assert exchange.open("/", {}) is not None
    assert exchange.open("/api/v3/brokerage/time", {}) is None


async def test_books_are_the_same_on_both(exchange, market_view) -> None:
    first = (
        await asked(exchange, market_view, f"{MARKET}/product_book", product_id="BTC-USD", limit=5)
    )["pricebook"]
    second = await asked(exchange, market_view, "/products/BTC-USD/book", level=2)
    for side in ("bids", "asks"):
        assert len(first[side]) == 5
        assert [(Decimal(one["price"]), Decimal(one["size"])) for one in first[side]] == [
            (Decimal(price), Decimal(size)) for price, size, _ in second[side][:5]
        ]


async def test_trades_are_the_same_on_both_newest_first(exchange, market_view) -> None:
    first = (await asked(exchange, market_view, f"{MARKET}/products/BTC-USD/ticker", limit=20))[
        "trades"
    ]
    second = await asked(exchange, market_view, "/products/BTC-USD/trades", limit=20)
    assert [int(one["trade_id"]) for one in first] == [one["trade_id"] for one in second]
    ids = [one["trade_id"] for one in second]
    assert ids == list(range(ids[0], ids[0] - 20, -1))
    for one, other in zip(first, second, strict=True):
        assert one["side"].lower() == other["side"]
        assert Decimal(one["size"]) == Decimal(other["size"])


async def test_trades_of_advanced_by_time(exchange, market_view) -> None:
    query = {"start": OPENING_S + 1, "end": OPENING_S + 2, "limit": 1000}
    rows = (await asked(exchange, market_view, f"{MARKET}/products/BTC-USD/ticker", **query))[
        "trades"
    ]
    times = [row["time"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert all(time.startswith("2026-09-21T14:13:2") for time in times)
    fewer = await asked(
        exchange, market_view, f"{MARKET}/products/BTC-USD/ticker", **{**query, "limit": 3}
    )
    assert fewer["trades"] == rows[:3]


async def test_pages_of_exchange(exchange, market_view) -> None:
    path = "/products/BTC-USD/trades"
    answer = await ask(exchange, market_view, path, limit=50)
    rows = json.loads(answer.body)
    older = await asked(exchange, market_view, path, limit=50, after=answer.headers["CB-AFTER"])
    assert older[0]["trade_id"] == rows[-1]["trade_id"] - 1
    newer = await asked(exchange, market_view, path, before=rows[10]["trade_id"])
    assert newer == rows[:10]
    far = await asked(exchange, market_view, path, limit=5, after=rows[0]["trade_id"] + 10_000)
    assert far == rows[:5]


async def test_candles_are_the_same_on_both(exchange, market_view) -> None:
    times = {"start": OPENING_S - 3600, "end": OPENING_S}
    path = f"{MARKET}/products/BTC-USD/candles"
    first = (await asked(exchange, market_view, path, granularity="FIVE_MINUTE", **times))[
        "candles"
    ]
    path = "/products/BTC-USD/candles"
    second = await asked(exchange, market_view, path, granularity=300, **times)
    starts = [int(candle["start"]) for candle in first]
    assert starts == list(range(starts[0], starts[-1] - 1, -300))
    names = ("start", "low", "high", "open", "close", "volume")
    assert [[Decimal(candle[name]) for name in names] for candle in first] == [
        [Decimal(str(number)) for number in row] for row in second
    ]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        (f"{MARKET}/nothing", {}, 404),
        (f"{MARKET}/products/NOPE-USD/ticker", {}, 404),
        (f"{MARKET}/product_book", {}, 404),
        (f"{MARKET}/products/BTC-USD/ticker", {"limit": "many"}, 400),
        (f"{MARKET}/products/BTC-USD/candles", {"granularity": "ONE_MOMENT"}, 400),
        (
            f"{MARKET}/products/BTC-USD/candles",
            {"granularity": "ONE_MINUTE", "start": 0, "end": 350 * 60},
            400,
        ),
        ("/v2/nothing", {}, 404),
        ("/nothing", {}, 404),
        ("/products/NOPE-USD/book", {}, 404),
        ("/products/BTC-USD/book", {"level": 4}, 400),
        ("/products/BTC-USD/trades", {"after": "me"}, 400),
        ("/products/BTC-USD/candles", {"granularity": 61}, 400),
        ("/products/BTC-USD/candles", {"start": "soon"}, 400),
        ("/products/BTC-USD/candles", {"start": 0, "end": OPENING_S}, 400),
    ],
)
async def test_wrong_calls_are_rejected(exchange, market_view, path, query, status) -> None:
    answer = await ask(exchange, market_view, path, **query)
    assert answer.status == status
    assert json.loads(answer.body)


async def test_products_have_all_members_that_clients_read(exchange, market_view) -> None:
    first = (await asked(exchange, market_view, f"{MARKET}/products"))["products"]
    second = await asked(exchange, market_view, "/products")
    assert [one["product_id"] for one in first] == [one["id"] for one in second]
    assert {"BTC-USD", "ETH-USD", "ETH-BTC"} <= {one["id"] for one in second}
    bitcoin = await asked(exchange, market_view, "/products/BTC-USD")
    assert (bitcoin["quote_increment"], bitcoin["base_increment"]) == ("0.01", "0.00000001")
    assert (await asked(exchange, market_view, f"{MARKET}/products", product_type="FUTURE")) == {
        "products": [],
        "num_products": 0,
    }
    assert (await asked(exchange, market_view, "/products/BTC-USD/ticker"))["trade_id"]


def test_every_failure_has_words(exchange: Dialect) -> None:
    for status in (418, 429, 500):
        failure = json.loads(exchange.failures[status])
        assert failure["error"]
        assert failure["message"]
