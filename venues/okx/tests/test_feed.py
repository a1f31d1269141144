"""Messages to OKX, and its answers."""

import json

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.contract.venue import ControlMessage, Environment
from kit.marketdata.frames import FrameError
from venues.okx.catalog import VENUES

LIVE = Environment("live", "")
spot, spot_candles = VENUES["okx"](LIVE).feed_protocols
swaps, swap_candles = VENUES["okx_futures"](LIVE).feed_protocols


def test_candles_have_an_address_of_their_own() -> None:
    assert spot.url(["BTC-USDT"]) == "wss://ws.okx.com:8443/ws/v5/public"
    assert spot_candles.url(["BTC-USDT"]) == "wss://ws.okx.com:8443/ws/v5/business"
    assert spot_candles.channels == swap_candles.channels == {types_pb2.CHANNEL_CANDLES}
    assert types_pb2.CHANNEL_CANDLES not in spot.channels
    assert types_pb2.CHANNEL_MARKS not in spot.channels
    assert types_pb2.CHANNEL_MARKS in swaps.channels


def test_a_simulated_venue_is_reached_by_its_id() -> None:
    simulated = VENUES["okx_futures"](Environment("simulate", "http://127.0.0.1:8300"))
    address = "ws://127.0.0.1:8300/okx_futures/ws/v5/public"
    assert simulated.feed_protocols[0].url(["BTC-USDT-SWAP"]) == address


def arguments(message: str) -> list[tuple[str, str]]:
    return [(one["channel"], one["instId"]) for one in json.loads(message)["args"]]


def test_a_subscription_names_every_channel_of_every_symbol() -> None:
    (message,) = spot.subscribe(["BTC-USDT", "ETH-USDT"], 7)
    assert json.loads(message)["op"] == "subscribe"
    assert json.loads(message)["id"] == "7"
    assert arguments(message) == [
        (channel, symbol)
        for symbol in ("BTC-USDT", "ETH-USDT")
        for channel in ("trades", "bbo-tbt", "books", "tickers")
    ]
    assert arguments(spot_candles.subscribe(["BTC-USDT"], 8)[0]) == [("candle1m", "BTC-USDT")]


def test_the_index_of_a_swap_goes_by_its_own_name() -> None:
    (message,) = swaps.subscribe(["BTC-USDT-SWAP"], 7)
    assert arguments(message)[-3:] == [
        ("mark-price", "BTC-USDT-SWAP"),
        ("funding-rate", "BTC-USDT-SWAP"),
        ("index-tickers", "BTC-USDT"),
    ]


def test_unsubscribing_is_the_same_with_another_word() -> None:
    (ended,), (begun,) = swaps.unsubscribe(["A-SWAP"], 1), swaps.subscribe(["A-SWAP"], 1)
    assert json.loads(ended)["op"] == "unsubscribe"
    assert arguments(ended) == arguments(begun)


def test_a_book_is_renewed_by_leaving_and_coming_back() -> None:
    messages = list(map(json.loads, spot.renew_book("BTC-USDT", 9)))
    assert [message["op"] for message in messages] == ["unsubscribe", "subscribe"]
    book = [{"channel": "books", "instId": "BTC-USDT"}]
    assert [message["args"] for message in messages] == [book, book]
    assert spot_candles.renew_book("BTC-USDT", 9) == []


def test_a_ping_is_a_text() -> None:
    assert spot.ping(1) == "ping"


WRONG = "60018: Wrong URL or channel:%s,instId:%s doesn't exist. Please use the correct URL."


def refusal(channel: str, symbol: str) -> bytes:
    code, _, text = (WRONG % (channel, symbol)).partition(": ")
    return json.dumps({"event": "error", "msg": text, "code": code, "connId": "a"}).encode()


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (b"pong", ControlMessage()),
        (b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"}}', ControlMessage()),
        (
            b'{"id":"1","event":"unsubscribe","arg":{"channel":"books"},"connId":"a"}',
            ControlMessage(),
        ),
        (b'{"event":"channel-conn-count","channel":"books","connCount":"3"}', ControlMessage()),
        (
            b'{\n  "event": "notice",\n  "code": "64008",\n  "msg": "x"\n}',
            ControlMessage(is_closing=True),
        ),
        (b'{"event":"notice","code":"64000","msg":"x"}', ControlMessage()),
        (
            b'{"event":"error","code":"60012","msg":"Illegal request: {}"}',
            ControlMessage(rejection="60012: Illegal request: {}"),
        ),
        (
            refusal("trades", "NO-SUCH"),
            ControlMessage(rejection=WRONG % ("trades", "NO-SUCH"), rejected_symbols=["NO-SUCH"]),
        ),
        (refusal("books", "A-SWAP"), ControlMessage(rejection=WRONG % ("books", "A-SWAP"))),
    ],
)
def test_an_answer_is_understood(frame: bytes, answer: ControlMessage) -> None:
    found = spot.read_control_message(frame)
    assert (found.rejection, list(found.rejected_symbols)) == (
        answer.rejection,
        list(answer.rejected_symbols),
    )
    assert (found.is_closing, list(found.replies)) == (answer.is_closing, [])


@pytest.mark.parametrize(
    "frame",
    [b'{"e":"neverHeardOf"}', b'{"event":"neverHeardOf"}', b"not json", b"\xff", b"[]", b""],
)
def test_a_data_frame_is_no_reply(frame: bytes) -> None:
    with pytest.raises(FrameError):
        spot.read_control_message(frame)


@pytest.mark.parametrize("wire", [spot, spot_candles, swaps, swap_candles])
def test_no_channel_is_taken_for_another(wire) -> None:
    for kind in wire.kinds:
        frame = b'{"arg":{"channel":"%b","instId":"BTC-USDT"},"data":[]}' % kind.name.encode()
        head = frame[: wire.window_bytes]
        assert [one.name for one in wire.kinds if one.pattern in head] == [kind.name]
        confirmed = b'{"event":"subscribe","arg":{"channel":"%b"}}' % kind.name.encode()
        assert kind.pattern not in confirmed
