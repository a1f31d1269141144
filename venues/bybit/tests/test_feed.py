"""Messages to Bybit, and its answers."""

import json

import pytest

from kit.base.errors import SettingError
from kit.connector.contract.venue import Environment
from kit.marketdata.frames import FrameError, FramePatterns, Frames
from venues.bybit.catalog import spot
from venues.bybit.feed import BybitFeedProtocol

wire = BybitFeedProtocol("wss://stream.bybit.com", "200")


def test_all_symbols_share_one_address() -> None:
    assert wire.url(["BTCUSDT"]) == "wss://stream.bybit.com/v5/public/spot"


def test_a_subscription_names_every_topic_of_one_symbol() -> None:
    bitcoin, ether = map(json.loads, wire.subscribe(["BTCUSDT", "ETHUSDT"], 7))
    assert bitcoin == {
        "req_id": "7",
        "op": "subscribe",
        "args": [
            "publicTrade.BTCUSDT",
            "orderbook.1.BTCUSDT",
            "orderbook.200.BTCUSDT",
            "tickers.BTCUSDT",
            "kline.1.BTCUSDT",
        ],
    }
    assert all(topic.endswith(".ETHUSDT") for topic in ether["args"])
    (leaving,) = map(json.loads, wire.unsubscribe(["BTCUSDT"], 8))
    assert leaving == {**bitcoin, "req_id": "8", "op": "unsubscribe"}


def test_a_book_is_renewed_by_subscribing_again() -> None:
    messages = [json.loads(message) for message in wire.renew_book("BTCUSDT", 9)]
    assert [message["op"] for message in messages] == ["unsubscribe", "subscribe"]
    assert all(message["args"] == ["orderbook.200.BTCUSDT"] for message in messages)


def test_a_ping_is_a_message() -> None:
    assert json.loads(wire.ping(3)) == {"req_id": "3", "op": "ping"}


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("publicTrade.BTCUSDT", "trades"),
        ("orderbook.1.BTCUSDT", "quotes"),
        ("orderbook.50.BTCUSDT", "book"),
        ("orderbook.1000.BTCUSDT", "book"),
        ("tickers.BTCUSDT", "tickers"),
        ("kline.1.BTCUSDT", "candles"),
        ("liquidation.BTCUSDT", None),
        ("", None),
    ],
)
def test_frames_are_classified_by_topic(topic: str, kind: str | None) -> None:
    patterns = FramePatterns([one.pattern for one in wire.kinds], wire.window_bytes)
    (found,) = patterns.classify(Frames([b'{"topic":"%b","ts":1}' % topic.encode()], [1])).tolist()
    names = [*(one.name for one in wire.kinds), None]
    assert names[found] == kind


@pytest.mark.parametrize(
    ("reply", "refusal", "symbols"),
    [
        ({"success": True, "ret_msg": "subscribe", "op": "subscribe"}, "", ()),
        ({"success": True, "ret_msg": "pong", "req_id": "1", "op": "ping"}, "", ()),
        ({"op": "pong", "args": ["1661741630642"], "req_id": "1"}, "", ()),
        (
            {"success": False, "ret_msg": "Invalid symbol :[tickers.NOPE]", "op": "subscribe"},
            "Invalid symbol :[tickers.NOPE]",
            ("NOPE",),
        ),
        (
            {"success": False, "ret_msg": "Invalid symbol :[NOPE, tickers.NO]", "op": "subscribe"},
            "Invalid symbol :[NOPE, tickers.NO]",
            ("NOPE", "NO"),
        ),
        ({"success": False, "ret_msg": "args size >10", "op": "subscribe"}, "args size >10", ()),
        (
            {
                "success": False,
                "ret_msg": "error:already subscribed,topic:tickers.BTCUSDT",
                "op": "subscribe",
            },
            "",
            (),
        ),
    ],
)
def test_an_answer_states_rejections(reply, refusal: str, symbols) -> None:
    answer = wire.read_control_message(json.dumps(reply).encode())
    assert (answer.rejection, answer.rejected_symbols) == (refusal, symbols)


@pytest.mark.parametrize(
    "frame",
    [b'{"topic":"liquidation.BTCUSDT"}', b"not json", b'{"op":"\xff"}', b"[]", b"", b'{"op":1}'],
)
def test_a_data_frame_is_no_reply(frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_control_message(frame)


def test_the_depth_can_be_chosen() -> None:
    place = Environment("simulate", "http://127.0.0.1:1", {"depth": "50"})
    (chosen,) = spot(place).feed_protocols
    assert "orderbook.50.BTCUSDT" in chosen.subscribe(["BTCUSDT"], 1)[0]
    assert chosen.url([]) == "ws://127.0.0.1:1/bybit/v5/public/spot"
    with pytest.raises(SettingError, match="depth = '25'"):
        spot(Environment("live", "", {"depth": "25"}))
