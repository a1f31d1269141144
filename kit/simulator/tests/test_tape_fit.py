"""Whether a tape fits what clients subscribe to, and what is said when it does not."""

import pytest

from kit.simulator.dialect import CONVERSATION, SNAPSHOT, UNKNOWN, Channel, Stream
from kit.simulator.tape_fit import TapeFit

DIFFS = Stream("btcusdt@depth@100ms", Channel.BOOK, "BTCUSDT")
TEN_LEVELS = Stream("btcusdt@depth10@100ms", Channel.BOOK, "BTCUSDT")
TWENTY_LEVELS = Stream("btcusdt@depth20", Channel.BOOK, "BTCUSDT")
OTHER_BOOK = Stream("ethusdt@depth10@100ms", Channel.BOOK, "ETHUSDT")
TRADES = Stream("btcusdt@trade", Channel.TRADES, "BTCUSDT")
TICKERS = Stream("btcusdt@ticker", Channel.TICKERS, "BTCUSDT")


def test_the_nearest_stream_on_the_tape_is_named_before_a_frame_was_played():
    fit = TapeFit("binance", [TEN_LEVELS, TWENTY_LEVELS, OTHER_BOOK])
    assert fit.problem == ""
    fit.subscribed([DIFFS])
    assert "btcusdt@depth@100ms (on the tape: btcusdt@depth10@100ms)" in fit.problem
    assert "venues.binance.options" in fit.problem


def test_frames_that_fit_nothing_are_counted():
    fit = TapeFit("binance", [TEN_LEVELS])
    fit.played([TEN_LEVELS] * 1_376, [DIFFS])
    assert fit.problem.startswith("no frame fits a subscription; ")
    fit.finish()
    assert fit.problem.startswith("0 of 1,376 frames fit a subscription; ")
    assert fit.unasked == {"btcusdt@depth10@100ms": 1_376}


def test_one_channel_that_does_not_fit_is_a_problem_though_another_does():
    fit = TapeFit("binance", [])
    fit.played([TRADES, TEN_LEVELS, TRADES], [DIFFS, TRADES])
    assert fit.problem.startswith("some frames fit no subscription; ")
    assert "btcusdt@depth@100ms" in fit.problem


@pytest.mark.parametrize(
    ("on_tape", "wanted"),
    [
        ([TRADES], [TRADES]),
        ([TRADES, OTHER_BOOK, UNKNOWN], [TRADES]),
        ([TRADES], [TRADES, TICKERS]),
        ([TEN_LEVELS, DIFFS, TRADES], [TRADES, DIFFS]),
        ([SNAPSHOT, CONVERSATION, DIFFS], [DIFFS]),
        ([TEN_LEVELS], []),
    ],
)
def test_a_tape_that_fits_is_no_problem(on_tape, wanted):
    fit = TapeFit("binance", on_tape)
    fit.played(on_tape, wanted)
    fit.finish()
    assert fit.problem == ""


def test_answers_to_calls_are_not_counted_as_frames_that_fit_nothing():
    fit = TapeFit("binance", [])
    fit.played([SNAPSHOT, CONVERSATION, TRADES], [TRADES])
    assert (fit.fitting, fit.unasked) == (1, {})


def test_a_tape_without_any_of_the_symbols_says_what_it_has():
    fit = TapeFit("binance", [OTHER_BOOK])
    fit.played([OTHER_BOOK], [DIFFS, TRADES])
    assert "not on the tape: btcusdt@depth@100ms, btcusdt@trade" in fit.problem
    assert "on the tape: ethusdt@depth10@100ms" in fit.problem


def test_a_tape_of_another_venue_is_recognised():
    fit = TapeFit("kraken", [UNKNOWN])
    fit.played([UNKNOWN], [DIFFS])
    assert "no frame of the tape is one of kraken" in fit.problem


def test_many_streams_are_not_all_named():
    wanted = [Stream(f"s{n}@depth", Channel.BOOK, f"S{n}") for n in range(9)]
    fit = TapeFit("binance", [Stream(f"s{n}@depth5", Channel.BOOK, f"S{n}") for n in range(9)])
    fit.subscribed(wanted)
    assert "and 5 more" in fit.problem
