"""Messages to Coinbase, and its answers."""

import json

import numpy as np
import pytest

from kit.base.errors import SettingError
from kit.connector.contract.venue import Environment
from kit.marketdata.frames import FrameError, FramePatterns, Frames
from venues.coinbase.catalog import spot
from venues.coinbase.feed import CoinbaseAdvancedFeedProtocol, CoinbaseExchangeFeedProtocol
from venues.coinbase.tests import test_parse as real

ADVANCED = CoinbaseAdvancedFeedProtocol("wss://advanced-trade-ws.coinbase.com")
EXCHANGE = CoinbaseExchangeFeedProtocol("wss://ws-feed.exchange.coinbase.com")
HEARTBEATS = (
    b'{"channel":"heartbeats","timestamp":"2026-09-07T23:37:22.675755362Z","sequence_num":3,'
    b'"events":[{"current_time":"2026-09-07 23:37:22.674409 +0000 UTC m=+139651.272674714",'
    b'"heartbeat_counter":139651}]}'
)
ADVANCED_ACK = (
    b'{"channel":"subscriptions","timestamp":"2026-09-07T23:37:22.278662782Z","sequence_num":1,'
    b'"events":[{"subscriptions":{"level2":["BTC-USD","ETH-USD"]}}]}'
)
HEARTBEAT = (
    b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD",'
    b'"time":"2014-11-07T08:19:28.464459Z"}'
)
EXCHANGE_ACK = (
    b'{"type":"subscriptions","channels":[{"name":"level2","product_ids":["BAND-GBP","BAND-BTC"]}]}'
)
NOT_LISTED = (
    b'{"type":"error","message":"Failed to subscribe","reason":"FOO-USD is not a valid product"}'
)


def messages(texts: list[str]) -> list[dict]:
    return [json.loads(text) for text in texts]


def kind_of(wire: CoinbaseAdvancedFeedProtocol | CoinbaseExchangeFeedProtocol, frame: bytes) -> str:
    patterns = FramePatterns([kind.pattern for kind in wire.kinds], wire.window_bytes)
    (number,) = patterns.classify(Frames([frame], [1])).tolist()
    return [*(kind.name for kind in wire.kinds), "none"][number]


def test_advanced_gets_one_subscription_per_channel() -> None:
    products = ["BTC-USD", "ETH-USD"]
    assert messages(ADVANCED.subscribe(products, 7)) == [
        {"type": "subscribe", "channel": "heartbeats"},
        *(
            {"type": "subscribe", "channel": channel, "product_ids": products}
            for channel in ("level2", "market_trades", "ticker", "candles")
        ),
    ]
    assert [one["type"] for one in messages(ADVANCED.unsubscribe(products, 8))] == [
        "unsubscribe"
    ] * 4


def test_exchange_gets_one_subscription_for_all_channels() -> None:
    channels = ["level2_batch", "matches", "ticker", "heartbeat"]
    for make, verb in ((EXCHANGE.subscribe, "subscribe"), (EXCHANGE.unsubscribe, "unsubscribe")):
        assert messages(make(["BTC-USD"], 7)) == [
            {"type": verb, "product_ids": ["BTC-USD"], "channels": channels}
        ]


def test_a_book_is_renewed_by_subscribing_again() -> None:
    assert messages(ADVANCED.renew_book("BTC-USD", 7)) == [
        {"type": verb, "channel": "level2", "product_ids": ["BTC-USD"]}
        for verb in ("unsubscribe", "subscribe")
    ]
    assert messages(EXCHANGE.renew_book("BTC-USD", 7)) == [
        {"type": verb, "product_ids": ["BTC-USD"], "channels": ["level2_batch"]}
        for verb in ("unsubscribe", "subscribe")
    ]


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (real.ADVANCED_TRADES, "trades"),
        (real.ADVANCED_BOOK, "book"),
        (real.ADVANCED_TICKER, "tickers"),
        (real.ADVANCED_CANDLES, "candles"),
        (HEARTBEATS, "heartbeats"),
        (ADVANCED_ACK, "none"),
        (b'{"type":"error","message":"authentication failure"}', "none"),
        (b"", "none"),
    ],
)
def test_frames_of_advanced_are_classified_by_channel(frame: bytes, kind: str) -> None:
    assert kind_of(ADVANCED, frame) == kind


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (real.MATCH, "trades"),
        (real.MATCH.replace(b'"match"', b'"last_match"'), "trades"),
        (real.SNAPSHOT, "book"),
        (real.UPDATE, "book"),
        (real.TICKER, "tickers"),
        (HEARTBEAT, "heartbeats"),
        (EXCHANGE_ACK, "none"),
        (NOT_LISTED, "none"),
        (b"", "none"),
    ],
)
def test_frames_of_exchange_are_classified_by_type(frame: bytes, kind: str) -> None:
    assert kind_of(EXCHANGE, frame) == kind


def test_every_captured_frame_is_known(captures) -> None:
    file = captures / "coinbase/exchange_6_products_2021/frames.jsonl"
    lines = file.read_bytes().splitlines()
    patterns = FramePatterns([kind.pattern for kind in EXCHANGE.kinds], EXCHANGE.window_bytes)
    kinds = patterns.classify(Frames(lines, range(len(lines))))
    answers = [lines[row] for row in np.flatnonzero(kinds == len(EXCHANGE.kinds)).tolist()]
    assert [EXCHANGE.read_control_message(answer).rejection for answer in answers] == [""] * 3


@pytest.mark.parametrize(
    ("wire", "frame", "words"),
    [
        (ADVANCED, ADVANCED_ACK, ""),
        (ADVANCED, b'{"type":"error","message":"rate limit"}', "rate limit"),
        (EXCHANGE, EXCHANGE_ACK, ""),
        (EXCHANGE, NOT_LISTED, "Failed to subscribe: FOO-USD is not a valid product"),
    ],
)
def test_an_answer_states_rejections(wire, frame: bytes, words: str) -> None:
    answer = wire.read_control_message(frame)
    assert answer.rejection == words
    assert not answer.is_broken


def test_products_that_are_rejected_for_good_are_named() -> None:
    assert list(EXCHANGE.read_control_message(NOT_LISTED).rejected_symbols) == ["FOO-USD"]
    gone = NOT_LISTED.replace(b"is not a valid product", b"is delisted")
    assert list(EXCHANGE.read_control_message(gone).rejected_symbols) == ["FOO-USD"]


def test_the_last_words_to_a_slow_reader_mean_a_move() -> None:
    for wire in (ADVANCED, EXCHANGE):
        assert wire.read_control_message(b'{"type":"error","message":"ErrSlowConsume"}').is_broken


@pytest.mark.parametrize("wire", [ADVANCED, EXCHANGE])
@pytest.mark.parametrize(
    "frame", [b'{"type":"neverHeardOf"}', b"not json", b'{"message":"\xff"}', b"[]", b""]
)
def test_a_data_frame_is_no_answer(wire, frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_control_message(frame)


def test_the_feed_is_chosen_by_an_option() -> None:
    live = {"world": "live", "simulator_url": "http://127.0.0.1:1"}
    urls = {
        "advanced": "wss://advanced-trade-ws.coinbase.com",
        "exchange": "wss://ws-feed.exchange.coinbase.com",
    }
    for feed, url in urls.items():
        (wire,) = spot(Environment(**live, options={"feed": feed})).feed_protocols
        assert wire.url(["BTC-USD"]) == url
    assert isinstance(spot(Environment(**live)).feed_protocols[0], CoinbaseAdvancedFeedProtocol)
    with pytest.raises(SettingError, match="advanced, exchange"):
        spot(Environment(**live, options={"feed": "carrier pigeon"}))


def test_the_simulated_feed_has_the_address_of_the_simulator() -> None:
    place = Environment("simulate", "http://127.0.0.1:8300")
    assert spot(place).feed_protocols[0].url([]) == "ws://127.0.0.1:8300/coinbase"
