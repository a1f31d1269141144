"""Messages to Examplex, and the meaning of its answers."""

import json

import pytest

from kit.marketdata.frames import FrameError, FramePatterns, Frames
from ops.templates.examplex.feed import ExamplexFeedProtocol

wire = ExamplexFeedProtocol("wss://feed.examplex.invalid")


def test_all_symbols_share_one_address() -> None:
    assert wire.url(["BTC-USD"]) == "wss://feed.examplex.invalid/feed"


def test_a_subscription_names_channels_and_symbols() -> None:
    (message,) = map(json.loads, wire.subscribe(["BTC-USD", "ETH-USD"], 7))
    channels = ["trades", "quotes", "book"]
    symbols = ["BTC-USD", "ETH-USD"]
    assert message == {"op": "subscribe", "id": 7, "channels": channels, "symbols": symbols}
    (leaving,) = map(json.loads, wire.unsubscribe(["BTC-USD", "ETH-USD"], 8))
    assert leaving == {**message, "op": "unsubscribe", "id": 8}


def test_a_book_is_renewed_by_subscribing_again() -> None:
    messages = [json.loads(message) for message in wire.renew_book("BTC-USD", 9)]
    assert [message["op"] for message in messages] == ["unsubscribe", "subscribe"]
    assert all(message["channels"] == ["book"] for message in messages)


@pytest.mark.parametrize("channel", ["trades", "quotes", "book"])
def test_frames_are_told_apart_by_their_channel(channel: str) -> None:
    patterns = FramePatterns([one.pattern for one in wire.kinds], wire.window_bytes)
    frames = Frames([b'{"channel":"%b","symbol":"BTC-USD"}' % channel.encode()], [1])
    (found,) = patterns.classify(frames).tolist()
    assert wire.kinds[found].name == channel


@pytest.mark.parametrize(
    ("answer", "refusal", "symbols"),
    [
        ({"answer": "subscribed", "id": 1}, "", ()),
        ({"answer": "pong", "id": 2}, "", ()),
        ({"answer": "refused", "why": "no", "symbols": ["NOPE-USD"]}, "no", ("NOPE-USD",)),
    ],
)
def test_an_answer_tells_whether_it_refuses(answer, refusal: str, symbols) -> None:
    found = wire.read_control_message(json.dumps(answer).encode())
    assert (found.rejection, found.rejected_symbols) == (refusal, symbols)


@pytest.mark.parametrize("frame", [b"not json", b"", b"[]", b'{"channel":"news"}'])
def test_what_answers_nothing_is_no_answer(frame: bytes) -> None:
    with pytest.raises(FrameError):
        wire.read_control_message(frame)
