"""Messages to Deribit, and its answers."""

import json

import pytest

from kit.connector.contract.venue import ControlMessage
from kit.marketdata.frames import FrameError
from venues.deribit.feed import DeribitFeedProtocol

wire = DeribitFeedProtocol("wss://www.deribit.com")
BTC, ETH = "BTC-PERPETUAL", "ETH-PERPETUAL"
SUBSCRIBE = "public/subscribe"


def channels(symbol: str) -> list[str]:
    return [
        f"trades.{symbol}.100ms",
        f"quote.{symbol}",
        f"book.{symbol}.100ms",
        f"ticker.{symbol}.100ms",
        f"chart.trades.{symbol}.1",
    ]


def answer(asked: object, result: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": asked, "result": result, "usIn": 1}).encode()


def asked_with(messages: list[str]) -> str:
    (asked,) = [one["id"] for one in map(json.loads, messages) if one["method"] == SUBSCRIBE]
    return asked


def test_all_symbols_share_one_address() -> None:
    assert wire.url([BTC]) == "wss://www.deribit.com/ws/api/v2"


def test_a_subscription_names_every_channel() -> None:
    (subscription,) = map(json.loads, wire.subscribe([BTC, ETH], 7))
    assert subscription == {
        "jsonrpc": "2.0",
        "id": "7 subscribe BTC-PERPETUAL ETH-PERPETUAL",
        "method": "public/subscribe",
        "params": {"channels": channels(BTC) + channels(ETH)},
    }


def test_unsubscribing_names_the_same_channels() -> None:
    (message,) = map(json.loads, wire.unsubscribe([BTC], 8))
    assert message["method"] == "public/unsubscribe"
    assert message["params"] == {"channels": channels(BTC)}


def test_a_book_is_renewed_by_a_new_subscription() -> None:
    stop, start = map(json.loads, wire.renew_book(BTC, 9))
    assert (stop["method"], start["method"]) == ("public/unsubscribe", "public/subscribe")
    for message in (stop, start):
        assert message["params"] == {"channels": ["book.BTC-PERPETUAL.100ms"]}


def test_an_accepted_channel_is_not_rejected() -> None:
    asked = asked_with(wire.subscribe([BTC, ETH], 7))
    understood = wire.read_control_message(answer(asked, channels(ETH) + channels(BTC)))
    assert (understood.rejection, list(understood.rejected_symbols)) == ("", [])
    renewed = asked_with(wire.renew_book(BTC, 9))
    understood = wire.read_control_message(answer(renewed, ["book.BTC-PERPETUAL.100ms"]))
    assert (understood.rejection, list(understood.replies)) == ("", [])


def test_with_a_subscription_heartbeats_are_wanted() -> None:
    asked = asked_with(wire.subscribe([BTC], 7))
    (heartbeat,) = map(json.loads, wire.read_control_message(answer(asked, channels(BTC))).replies)
    assert heartbeat["method"] == "public/set_heartbeat"
    assert heartbeat["params"]["interval"] >= 10
    assert wire.read_control_message(answer(heartbeat["id"], "ok")) == ControlMessage()


def test_a_channel_missing_in_the_answer_is_rejected() -> None:
    asked = asked_with(wire.subscribe([BTC, ETH], 7))
    understood = wire.read_control_message(answer(asked, [*channels(BTC)[1:], *channels(ETH)]))
    assert understood.rejection == "not accepted: trades.BTC-PERPETUAL.100ms"
    assert list(understood.rejected_symbols) == []


def test_an_instrument_without_any_channel_was_rejected_for_good() -> None:
    asked = asked_with(wire.subscribe([BTC, ETH], 7))
    understood = wire.read_control_message(answer(asked, channels(BTC)))
    assert all(name in understood.rejection for name in channels(ETH))
    assert list(understood.rejected_symbols) == [ETH]


def test_a_test_request_is_answered_and_a_heartbeat_is_not() -> None:
    frame = b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"%b"}}'
    (said,) = map(json.loads, wire.read_control_message(frame % b"test_request").replies)
    assert said["method"] == "public/test"
    assert wire.read_control_message(frame % b"heartbeat") == ControlMessage()
    turned = b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}'
    assert len(wire.read_control_message(turned).replies) == 1


@pytest.mark.parametrize(
    ("reply", "refusal", "broken"),
    [
        (answer("7 heartbeat", "ok"), "", False),
        (answer("test", {"version": "1.2.26"}), "", False),
        (answer("8 unsubscribe", []), "", False),
        (answer(None, "ok"), "", False),
        (
            b'{"id":1,"error":{"message":"Invalid params","data":{"param":"x"},"code":-32602}}',
            '-32602: Invalid params {"param":"x"}',
            False,
        ),
        (
            b'{"jsonrpc":"2.0","error":{"message":"too_many_requests","code":10028}}',
            "10028: too_many_requests",
            True,
        ),
    ],
)
def test_an_answer_states_rejections(reply: bytes, refusal: str, broken: bool) -> None:
    understood = wire.read_control_message(reply)
    assert (understood.rejection, understood.is_broken) == (refusal, broken)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"neverHeardOf"}}',
        b"not json",
        b'{"error":{"message":"\xff"}}',
        b"[]",
        b"",
        answer("7 subscribe BTC-PERPETUAL", "ok"),
    ],
)
def test_a_data_frame_is_no_reply(frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_control_message(frame)
