"""Messages to Binance, and its answers."""

import json

import pytest

from kit.marketdata.frames import FrameError, FramePatterns, Frames
from venues.binance.feed import (
    FUTURES_MARKET_STREAMS,
    FUTURES_PUBLIC_STREAMS,
    FUTURES_TRADES,
    SPOT_STREAMS,
    TRADES,
    BinanceFeedProtocol,
)

wire = BinanceFeedProtocol("wss://stream.binance.com:9443", (TRADES, *SPOT_STREAMS))
public = BinanceFeedProtocol(
    "wss://fstream.binance.com/public", (FUTURES_TRADES, *FUTURES_PUBLIC_STREAMS)
)
market = BinanceFeedProtocol("wss://fstream.binance.com/market", FUTURES_MARKET_STREAMS)


def test_all_symbols_share_the_combined_stream() -> None:
    assert wire.url(["BTCUSDT"]) == "wss://stream.binance.com:9443/stream"
    assert public.url(["BTCUSDT"]) == "wss://fstream.binance.com/public/stream"


def test_a_subscription_names_every_stream_of_every_symbol() -> None:
    (message,) = wire.subscribe(["BTCUSDT", "ETHUSDT"], 7)
    assert json.loads(message) == {
        "method": "SUBSCRIBE",
        "params": [
            "btcusdt@trade",
            "btcusdt@bookTicker",
            "btcusdt@depth@100ms",
            "btcusdt@ticker",
            "btcusdt@kline_1m",
            "ethusdt@trade",
            "ethusdt@bookTicker",
            "ethusdt@depth@100ms",
            "ethusdt@ticker",
            "ethusdt@kline_1m",
        ],
        "id": 7,
    }


def test_each_route_of_futures_is_asked_for_its_own_streams() -> None:
    names = [
        [name.partition("@")[2] for name in json.loads(one)["params"]]
        for one in (*public.subscribe(["BTCUSDT"], 1), *market.unsubscribe(["BTCUSDT"], 2))
    ]
    assert names == [
        ["trade", "bookTicker", "depth@100ms"],
        ["markPrice@1s", "ticker", "kline_1m"],
    ]
    assert not public.channels & market.channels


@pytest.mark.parametrize(
    ("wire", "frame", "kind"),
    [
        (wire, b'{"stream":"btcusdt@trade","data":{}}', "trades"),
        (wire, b'{"stream":"btcusdt@aggTrade","data":{}}', None),
        (wire, b'{"stream":"1000satsusdt@bookTicker","data":{}}', "quotes"),
        (wire, b'{"stream":"btcusdt@depth@100ms","data":{}}', "book"),
        (wire, b'{"stream":"btcusdt@ticker","data":{}}', "tickers"),
        (wire, b'{"stream":"btcusdt@kline_1m","data":{}}', "candles"),
        (wire, b'{"stream":"btcusdt@miniTicker","data":{}}', None),
        (wire, b'{"result":null,"id":1}', None),
        (wire, b"", None),
        (public, b'{"stream":"btcusdt@depth@0ms","data":{}}', "book"),
        (market, b'{"stream":"btcusdt@markPrice@1s","data":{}}', "marks"),
        (market, b'{"stream":"!markPrice@arr","data":[]}', None),
    ],
)
def test_frames_are_classified_by_stream(
    wire: BinanceFeedProtocol, frame: bytes, kind: str | None
) -> None:
    patterns = FramePatterns([kind.pattern for kind in wire.kinds], wire.window_bytes)
    (number,) = patterns.classify(Frames([frame], [1])).tolist()
    assert [*(kind.name for kind in wire.kinds), None][number] == kind


@pytest.mark.parametrize(
    ("reply", "refusal"),
    [
        (b'{"result":null,"id":1}', ""),
        (b'{"code":2,"msg":"Invalid request"}', "2: Invalid request"),
        (b'{"error":{"code":3,"msg":"Invalid JSON"},"id":null}', "3: Invalid JSON"),
    ],
)
def test_an_answer_states_rejections(reply: bytes, refusal: str) -> None:
    assert wire.read_control_message(reply).rejection == refusal


@pytest.mark.parametrize(
    "frame",
    [
        b'{"e":"neverHeardOf","s":"BTCUSDT"}',
        b'{"stream":"btcusdt@miniTicker","data":{}}',
        b"not json",
        b'{"msg":"\xff"}',
        b"[]",
        b"",
    ],
)
def test_a_data_frame_is_no_reply(frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_control_message(frame)


def test_a_server_that_will_go_is_left() -> None:
    assert wire.read_control_message(b'{"e":"serverShutdown","E":1770123456789}').is_closing
    assert not wire.read_control_message(b'{"result":null,"id":1}').is_closing
