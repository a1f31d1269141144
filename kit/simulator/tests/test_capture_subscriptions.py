"""Whether a capture fits what clients subscribe to, and what is said when it does not."""

import pytest

from kit.simulator.capture_subscriptions import CaptureSubscriptionCheck
from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel, ExchangeStream

DIFFS = ExchangeStream("btcusdt@depth@100ms", Channel.BOOK, "BTCUSDT")
TEN_LEVELS = ExchangeStream("btcusdt@depth10@100ms", Channel.BOOK, "BTCUSDT")
TWENTY_LEVELS = ExchangeStream("btcusdt@depth20", Channel.BOOK, "BTCUSDT")
OTHER_BOOK = ExchangeStream("ethusdt@depth10@100ms", Channel.BOOK, "ETHUSDT")
TRADES = ExchangeStream("btcusdt@trade", Channel.TRADES, "BTCUSDT")
TICKERS = ExchangeStream("btcusdt@ticker", Channel.TICKERS, "BTCUSDT")


def test_the_nearest_stream_on_the_tape_is_named_before_a_frame_was_played():
    fit = CaptureSubscriptionCheck("binance", [TEN_LEVELS, TWENTY_LEVELS, OTHER_BOOK])
    assert fit.problem == ""
    fit.subscribed([DIFFS])
    assert "btcusdt@depth@100ms (on the capture: btcusdt@depth10@100ms)" in fit.problem
    assert "venues.binance.options" in fit.problem


def test_frames_that_fit_nothing_are_counted():
    fit = CaptureSubscriptionCheck("binance", [TEN_LEVELS])
    fit.played([TEN_LEVELS] * 1_376, [DIFFS])
    assert fit.problem.startswith("no frame fits a subscription; ")
    fit.finish()
    assert fit.problem.startswith("0 of 1,376 frames fit a subscription; ")
    assert fit.unasked == {"btcusdt@depth10@100ms": 1_376}


def test_one_channel_that_does_not_fit_is_a_problem_though_another_does():
    fit = CaptureSubscriptionCheck("binance", [])
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
        ([SNAPSHOT, RESPONSE, DIFFS], [DIFFS]),
        ([TEN_LEVELS], []),
    ],
)
def test_a_tape_that_fits_is_no_problem(on_tape, wanted):
    fit = CaptureSubscriptionCheck("binance", on_tape)
    fit.played(on_tape, wanted)
    fit.finish()
    assert fit.problem == ""


def test_answers_to_calls_are_not_counted_as_frames_that_fit_nothing():
    fit = CaptureSubscriptionCheck("binance", [])
    fit.played([SNAPSHOT, RESPONSE, TRADES], [TRADES])
    assert (fit.fitting, fit.unasked) == (1, {})


def test_a_tape_without_any_of_the_symbols_says_what_it_has():
    fit = CaptureSubscriptionCheck("binance", [OTHER_BOOK])
    fit.played([OTHER_BOOK], [DIFFS, TRADES])
    assert "not on the capture: btcusdt@depth@100ms, btcusdt@trade" in fit.problem
    assert "on the capture: ethusdt@depth10@100ms" in fit.problem


def test_a_tape_of_another_venue_is_recognised():
    fit = CaptureSubscriptionCheck("kraken", [UNKNOWN])
    fit.played([UNKNOWN], [DIFFS])
    assert "no frame of the capture is one of kraken" in fit.problem


def test_many_streams_are_not_all_named():
    wanted = [ExchangeStream(f"s{n}@depth", Channel.BOOK, f"S{n}") for n in range(9)]
    fit = CaptureSubscriptionCheck(
        "binance", [ExchangeStream(f"s{n}@depth5", Channel.BOOK, f"S{n}") for n in range(9)]
    )
    fit.subscribed(wanted)
    assert "and 5 more" in fit.problem
