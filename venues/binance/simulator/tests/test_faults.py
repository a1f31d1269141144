"""What goes wrong at Binance and nowhere else."""

import json

import pytest

from kit.simulator.dialect import Channel, ExchangeStream
from venues.binance.simulator import binance_futures, binance_spot

TRADES = ExchangeStream("btcusdt@trade", Channel.TRADES, "BTCUSDT")
BOOK = ExchangeStream("btcusdt@depth@100ms", Channel.BOOK, "BTCUSDT")
TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":5,"T":5,"s":"BTCUSDT","t":7,'
    b'"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)
UPDATE = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":5,"T":5,"s":"BTCUSDT",'
    b'"U":20,"u":30,"pu":10,"b":[],"a":[]}}'
)


@pytest.mark.parametrize(
    ("dialect", "name", "stream", "frame", "changed"),
    [
        (binance_spot, "first_id_gap", BOOK, UPDATE, {"U": 21}),
        (binance_futures, "previous_mismatch", BOOK, UPDATE, {"pu": 11}),
        (binance_futures, "spent_trade_id", TRADES, TRADE, {"p": "0", "q": "0", "X": "NA"}),
        (
            binance_futures,
            "insurance_fund",
            TRADES,
            TRADE,
            {"p": "123600.30", "X": "INSURANCE_FUND"},
        ),
    ],
)
def test_a_fault_changes_only_the_data_in_its_name(dialect, name, stream, frame, changed):
    fault = dialect().faults[name]
    ((same_stream, text),) = fault((stream, frame))
    assert same_stream is stream
    before = json.loads(frame)["data"]
    assert json.loads(text)["data"] == before | changed
    other = ExchangeStream("btcusdt@bookTicker", Channel.QUOTES, "BTCUSDT")
    assert list(fault((other, frame))) == [(other, frame)]


@pytest.mark.parametrize("dialect", [binance_spot, binance_futures])
def test_a_shutdown_is_announced_before_the_frame(dialect):
    notice, frame = dialect().faults["server_shutdown"]((TRADES, TRADE))
    assert frame == (TRADES, TRADE)
    assert json.loads(notice[1]) == {"e": "serverShutdown", "E": 5}
