"""What Binance is told, and what its answers mean."""

import json

import pytest

from kit.frames import FrameError, Frames, Patterns
from venues.binance.feed import SpotWire

wire = SpotWire("wss://stream.binance.com:9443")


def test_all_symbols_share_the_combined_stream() -> None:
    assert wire.url(["BTCUSDT"]) == "wss://stream.binance.com:9443/stream"


def test_a_subscription_names_every_stream_of_every_symbol() -> None:
    (message,) = wire.subscribe(["BTCUSDT", "ETHUSDT"], 7)
    assert json.loads(message) == {
        "method": "SUBSCRIBE",
        "params": [
            "btcusdt@trade",
            "btcusdt@bookTicker",
            "btcusdt@depth@100ms",
            "ethusdt@trade",
            "ethusdt@bookTicker",
            "ethusdt@depth@100ms",
        ],
        "id": 7,
    }


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (b'{"stream":"btcusdt@trade","data":{}}', "trades"),
        (b'{"stream":"1000satsusdt@bookTicker","data":{}}', "quotes"),
        (b'{"stream":"btcusdt@depth@100ms","data":{}}', "book"),
        (b'{"result":null,"id":1}', None),
        (b'{"stream":"btcusdt@kline_1m","data":{}}', None),
        (b"", None),
    ],
)
def test_frames_are_told_apart_by_their_stream(frame: bytes, kind: str | None) -> None:
    patterns = Patterns([kind.pattern for kind in wire.kinds], wire.window_bytes)
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
def test_an_answer_tells_whether_it_refuses(reply: bytes, refusal: str) -> None:
    assert wire.understand(reply).refusal == refusal


@pytest.mark.parametrize(
    "frame",
    [
        b'{"e":"neverHeardOf","s":"BTCUSDT"}',
        b'{"stream":"btcusdt@kline_1m","data":{}}',
        b"not json",
        b'{"msg":"\xff"}',
        b"[]",
        b"",
    ],
)
def test_what_answers_nothing_is_no_reply(frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.understand(frame)
