"""Messages to Kraken, and its answers."""

import json

import pytest

from kit.base.errors import SettingError
from kit.connector.contract.venue import Environment
from kit.marketdata.frames import FrameError
from venues.kraken.catalog import spot
from venues.kraken.feed import KrakenFeedProtocol

ACCEPTED = (
    b'{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,'
    b'"symbol":"BTC/USD"},"success":true,"time_in":"x","time_out":"x"}'
)
UNKNOWN = (
    b'{"error":"Currency pair not supported NOPE/USD","method":"subscribe",'
    b'"success":false,"symbol":"NOPE/USD","time_in":"x","time_out":"x"}'
)
REFUSED = b'{"error":"Already subscribed","method":"subscribe","success":false,"symbol":"BTC/USD"}'

wire = KrakenFeedProtocol("wss://ws.kraken.com", 100)


def test_all_symbols_share_one_address() -> None:
    assert wire.url(["BTC/USDT"]) == "wss://ws.kraken.com/v2"


def test_a_subscription_has_a_message_for_each_channel() -> None:
    messages = [json.loads(one) for one in wire.subscribe(["BTC/USDT", "ETH/USDT"], 7)]
    rest = {"symbol": ["BTC/USDT", "ETH/USDT"], "snapshot": True}
    assert [one["params"] for one in messages] == [
        {"channel": "trade", **rest},
        {"channel": "ticker", "event_trigger": "bbo", **rest},
        {"channel": "book", "depth": 100, **rest},
        {"channel": "ohlc", "interval": 1, **rest},
    ]
    assert {(one["method"], one["req_id"]) for one in messages} == {("subscribe", 7)}


def test_an_unsubscription_equals_its_subscription_without_the_snapshot() -> None:
    messages = [json.loads(one) for one in wire.unsubscribe(["BTC/USDT"], 8)]
    assert len(messages) == 4
    assert messages[2] == {
        "method": "unsubscribe",
        "params": {"channel": "book", "depth": 100, "symbol": ["BTC/USDT"]},
        "req_id": 8,
    }


def test_a_book_is_renewed_by_going_out_and_in() -> None:
    out, back = [json.loads(one) for one in wire.renew_book("BTC/USDT", 9)]
    assert (out["method"], back["method"]) == ("unsubscribe", "subscribe")
    assert (out["params"]["channel"], back["params"]["channel"]) == ("book", "book")
    assert back["params"]["snapshot"] is True
    assert out["params"]["symbol"] == back["params"]["symbol"] == ["BTC/USDT"]


def test_a_ping_is_a_message_of_krakens_own() -> None:
    assert json.loads(wire.ping(5) or "") == {"method": "ping", "req_id": 5}


@pytest.mark.parametrize(
    ("reply", "refusal", "symbols"),
    [
        (ACCEPTED, "", ()),
        (b'{"method":"pong","req_id":1,"time_in":"x","time_out":"x"}', "", ()),
        (UNKNOWN, "Currency pair not supported NOPE/USD (NOPE/USD)", ("NOPE/USD",)),
        (REFUSED, "Already subscribed (BTC/USD)", ()),
        (b'{"error":"Malformed request","success":false}', "Malformed request (all)", ()),
    ],
)
def test_an_answer_states_rejections(reply: bytes, refusal: str, symbols: tuple[str, ...]) -> None:
    answer = wire.read_control_message(reply)
    assert (answer.rejection, tuple(answer.rejected_symbols)) == (refusal, symbols)
    assert not answer.is_closing
    assert not answer.replies


@pytest.mark.parametrize(
    "frame", [b'{"event":"neverHeardOf"}', b"not json", b'{"error":"\xff"}', b"[]", b"", b"{}"]
)
def test_a_data_frame_is_no_reply(frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_control_message(frame)


def test_the_depth_can_be_chosen() -> None:
    venue = spot(Environment("simulate", "http://127.0.0.1:1", {"depth": "10"}))
    (chosen,) = venue.feed_protocols
    assert chosen.url([]) == "ws://127.0.0.1:1/kraken/v2"
    assert json.loads(chosen.subscribe(["BTC/USDT"], 1)[2])["params"]["depth"] == 10
    assert venue.book.depth == 10
    assert spot(Environment("live", "")).book.depth == 100
    with pytest.raises(SettingError, match="depth = '20'"):
        spot(Environment("live", "", {"depth": "20"}))
